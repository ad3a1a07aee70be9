"""A producer for one process. Made by `kafka.py`; imports confluent-kafka.

librdkafka queues messages, sends them in its own threads and reports on each of them. A thread
here serves the reports, and `send` waits for those of its own messages alone: `flush` would wait
for every other thread's messages too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from segmentstream_api.destinations.base import Delivered, Delivery, Outcome, Retry
from segmentstream_api.destinations.kafka.configuration import (
    SafeLog,
    producer_configuration,
    secrets_of,
    without,
)
from segmentstream_api.destinations.kafka.outcomes import (
    FATAL,
    TOO_LARGE,
    expired,
    is_expired,
    is_fault,
    outcome_of,
)
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.logs.entries import KAFKA_REPORT_UNREADABLE
from segmentstream_api.timestamps import parse_instant

librdkafka = logging.getLogger(__name__)

_POLL_SECONDS = 0.2  # how long closing may have to wait; reports are served as they come


class KafkaClient:
    """`make_producer` is confluent_kafka.Producer but in tests."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        make_producer: Callable[..., Producer] = Producer,
    ) -> None:
        """Raises DestinationUnusable for settings that librdkafka refuses."""
        self._topic: str = settings["topic"]
        self._timeout_seconds = float(settings["timeout_seconds"])
        self._settings = settings
        self._make_producer = make_producer
        self._fault: int | None = None
        self._renewing = threading.Lock()
        self._producer = self._new_producer()
        self._closing = threading.Event()
        self._reporter = threading.Thread(target=self._serve, name="kafka-reports", daemon=True)
        self._reporter.start()

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        deadline = time.monotonic() + self._timeout_seconds
        outcomes = self._send(deliveries, deadline)
        for index, outcome in enumerate(outcomes):
            if outcome is TOO_LARGE and len(deliveries) > 1:
                # Brokers measure what travels together, so the neighbours may be to blame.
                outcomes[index : index + 1] = self._send([deliveries[index]], deadline)
        return outcomes

    def setup(self) -> str:
        return "needs no setup"

    def close(self) -> None:
        self._closing.set()
        self._reporter.join()
        _abandon(self._producer)

    def _send(self, deliveries: Sequence[Delivery], deadline: float) -> list[Outcome]:
        producer = self._producer
        reports = [self._produce(producer, delivery) for delivery in deliveries]
        wait(reports, timeout=max(0.0, deadline - time.monotonic()))
        outcomes = [report.result() if report.done() else self._expired() for report in reports]
        if any(outcome is FATAL for outcome in outcomes):
            self._renew(producer)
        return outcomes

    def _produce(self, producer: Producer, delivery: Delivery) -> Future[Outcome]:
        """What will become of the message."""
        report: Future[Outcome] = Future()
        envelope = Envelope(delivery)
        try:
            producer.produce(
                self._topic,
                value=delivery.body,
                key=envelope.distinct_id.encode(),
                headers=[
                    ("hitId", envelope.hit_id.encode()),
                    ("idempotency-key", delivery.key.encode()),
                ],
                timestamp=int(parse_instant(delivery.document["receivedAt"]).timestamp() * 1000),
                on_delivery=lambda error, _: report.set_result(self._reported(error)),
            )
        except BufferError:
            report.set_result(Retry("the producer's queue is full"))
        except KafkaException as error:
            report.set_result(self._reported(error.args[0]))
        return report

    def _reported(self, error: KafkaError | None) -> Outcome:
        if error is None:
            self._fault = None
            return Delivered()
        return self._expired() if is_expired(error) else outcome_of(error)

    def _expired(self) -> Retry:
        return expired(self._timeout_seconds, self._fault)

    def _serve(self) -> None:
        """Runs the callbacks of reports, errors and logs as they come."""
        while not self._closing.is_set():
            try:
                self._producer.poll(_POLL_SECONDS)
            except Exception as error:  # noqa: BLE001 - without this loop nothing is delivered
                KAFKA_REPORT_UNREADABLE(error)
                self._closing.wait(_POLL_SECONDS)

    def _noticed(self, error: KafkaError) -> None:
        if is_fault(error):
            self._fault = error.code()

    def _new_producer(self) -> Producer:
        configuration = producer_configuration(self._settings) | {"error_cb": self._noticed}
        try:
            return self._make_producer(
                configuration, logger=SafeLog(librdkafka, secrets_of(self._settings))
            )
        except KafkaException as error:
            reason = f"Kafka takes no such settings: {error.args[0].str()}"
            raise DestinationUnusable(without(secrets_of(self._settings), reason)) from None

    def _renew(self, broken: Producer) -> None:
        """A producer that had a fatal error fails for ever; the next one begins anew."""
        with self._renewing:
            if self._producer is broken:
                self._producer = self._new_producer()
                _abandon(broken)


def _abandon(producer: Producer) -> None:
    """Gives up what is still queued, so that letting go of the producer does not wait for it."""
    producer.purge()
    producer.flush(_POLL_SECONDS)
