"""What Kafka's and librdkafka's errors mean for a message. Used by `kafka_client.py`."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError

from segmentstream_api.destinations.base import Outcome, Rejected, Retry

TOO_LARGE = Rejected("the message is larger than Kafka takes (MSG_SIZE_TOO_LARGE)")

# What keeps the producer from a broker, as its error callback tells. True: only the operator can
# mend it.
_FAULTS: Mapping[int, tuple[str, bool]] = {
    KafkaError._AUTHENTICATION: ("the broker refused the credentials", True),
    KafkaError.SASL_AUTHENTICATION_FAILED: ("the broker refused the credentials", True),
    KafkaError._SSL: ("no TLS connection could be made", True),
    KafkaError._RESOLVE: ("the host name could not be resolved", True),
    KafkaError._TRANSPORT: ("could not connect", False),
    KafkaError._BAD_MSG: ("the answer was not Kafka's", False),
}
# What a message's report says. The rest are retried: the code's own `retriable()` is False even
# for an expired message.
_OUTCOMES: Mapping[int, Outcome] = {
    KafkaError.MSG_SIZE_TOO_LARGE: TOO_LARGE,
    KafkaError.INVALID_RECORD: Rejected("the broker refused the message (INVALID_RECORD)"),
    KafkaError.UNKNOWN_TOPIC_OR_PART: Retry("the topic does not exist", misconfigured=True),
    KafkaError._UNKNOWN_TOPIC: Retry("the topic does not exist", misconfigured=True),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: Retry(
        "this user may not write to the topic", misconfigured=True
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: Retry(
        "this user may not write idempotently (IdempotentWrite)", misconfigured=True
    ),
}
FATAL = Retry("the producer had a fatal error; the next attempt begins with a new one")
_EXPIRED = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT})


def outcome_of(error: KafkaError) -> Outcome:
    """What the report on a message means that has not expired."""
    if error.fatal() or error.code() == KafkaError._FATAL:
        return FATAL
    known = _OUTCOMES.get(error.code())
    return Retry(f"Kafka: {error.name()}") if known is None else known


def is_expired(error: KafkaError) -> bool:
    return error.code() in _EXPIRED


def is_fault(error: KafkaError) -> bool:
    """Whether it says what keeps the producer from the brokers."""
    return error.code() in _FAULTS


def expired(timeout_seconds: float, fault: int | None) -> Retry:
    """For a message that was not acknowledged in time; `fault` is the code of the last one."""
    reason = f"no acknowledgement within {timeout_seconds:g} s"
    if fault is None:
        return Retry(reason, unanswered=True)
    why, misconfigured = _FAULTS[fault]
    return Retry(f"{reason}: {why}", misconfigured=misconfigured)
