from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
from dataclasses import replace
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.kafka.destination import Kafka
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.testing import closed_port, complete, delivery
from tests.destinations.events import hostile
from tests.optional import require

require("confluent_kafka")

from confluent_kafka import KafkaError, KafkaException  # noqa: E402 - only if it is installed

from segmentstream_api.destinations.kafka.client import KafkaClient  # noqa: E402 - as above
from segmentstream_api.destinations.kafka.configuration import (  # noqa: E402 - as above
    SafeLog,
    producer_configuration,
)
from tests.destinations.kafka_cluster import Cluster  # noqa: E402 - as above

PASSWORD = "the-password-of-kafka"
MISCONFIGURED = True


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def nobody():
    return closed_port().removeprefix("http://")


def settings(address="127.0.0.1:9092", **more):
    given = {"bootstrap_servers": address, "topic": "events", **more}
    return complete(Kafka.settings_schema, given)


@pytest.fixture
def make(cluster):
    made = []

    def make(address=None, **more):
        made.append(Kafka("warehouse", settings(address or cluster.address, **more)))
        return made[-1]

    yield make
    for destination in made:
        destination.close()


def the_broker_is_not_there(make, address, **more):
    (outcome,) = make(address, timeout_seconds=3, **more).send([delivery()])
    return outcome


# The message


def test_the_value_is_the_event_byte_for_byte(make, cluster):
    assert make(topic="values").send([delivery(1)]) == [Delivered()]
    (message,) = cluster.read("values", 1)
    assert message.value() == delivery(1).body


def test_the_headers_tell_the_hit_id_and_the_idempotency_key(make, cluster):
    make(topic="headers").send([delivery(7)])
    (message,) = cluster.read("headers", 1)
    assert dict(message.headers()) == {
        "hitId": b"hit-7",
        "idempotency-key": f"{7:032x}".encode(),
    }


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ({"userId": "ü-1", "anonymousId": "a-1"}, "ü-1"),
        ({"userId": "", "anonymousId": "a-1"}, "a-1"),
        ({"anonymousId": "a-1"}, "a-1"),
    ],
)
def test_the_key_is_the_user_so_that_a_users_events_stay_in_order(make, cluster, user, key):
    document = delivery().document | {"event": {"name": "Registered", "user": user}}
    topic = f"keys-{uuid4()}"
    make(topic=topic).send([replace(delivery(), body=json.dumps(document).encode())])
    (message,) = cluster.read(topic, 1)
    assert message.key() == key.encode()


def test_the_timestamp_is_when_the_event_was_received_at_every_attempt(make, cluster):
    destination = make(topic="timestamps")
    destination.send([delivery(1)])
    destination.send([delivery(1)])
    first, second = cluster.read("timestamps", 2)
    received_at_ms = 1767323046000  # 2026-01-02T03:04:06Z
    assert first.timestamp()[1] == second.timestamp()[1] == received_at_ms


def test_a_batch_arrives_whole_and_in_order_for_each_user(make, cluster):
    destination = make(topic="batches")
    one_user = [replace(delivery(number), body=body_of(number)) for number in range(500)]
    assert destination.send(one_user) == [Delivered()] * 500
    messages = cluster.read("batches", 500)
    assert [json.loads(each.value())["hitId"] for each in messages] == [f"{n}" for n in range(500)]


def body_of(number):
    return json.dumps(delivery().document | {"hitId": str(number)}).encode()


def test_several_threads_send_side_by_side(make):
    destination = make(topic="threads")
    outcomes = []
    threads = [
        threading.Thread(target=lambda n=n: outcomes.extend(destination.send([delivery(n)])))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes == [Delivered()] * 8


def send_and_report(destination, report):
    report.send(destination.send([delivery(2)]))
    report.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_each_process_has_a_producer_of_its_own(make, cluster):
    destination = make(topic="forks")
    assert destination.send([delivery(1)]) == [Delivered()]
    fork = multiprocessing.get_context("fork")
    reports, report = fork.Pipe(duplex=False)
    child = fork.Process(target=send_and_report, args=(destination, report))
    child.start()
    report.close()
    with reports:
        assert reports.poll(20)
        assert reports.recv() == [Delivered()]
    child.join(10)
    assert child.exitcode == 0
    assert destination.send([delivery(3)]) == [Delivered()]
    assert len(cluster.read("forks", 3)) == 3


def test_the_most_awkward_event_is_taken_as_it_is(make, cluster):
    assert make(topic="hostile").send([hostile()]) == [Delivered()]
    (message,) = cluster.read("hostile", 1)
    assert message.value() == hostile().body


# When it fails


def test_a_broker_that_is_down_is_tried_again(make, nobody):
    assert the_broker_is_not_there(make, nobody) == Retry(
        "no acknowledgement within 3 s: could not connect"
    )


def test_a_host_that_does_not_exist_is_a_configuration_fault(make):
    assert the_broker_is_not_there(make, "no-such-host.invalid:9092") == Retry(
        "no acknowledgement within 3 s: the host name could not be resolved", misconfigured=True
    )


def test_refused_credentials_are_a_configuration_fault(make, cluster):
    outcome = the_broker_is_not_there(make, cluster.address, username="u", password=PASSWORD)
    assert outcome == Retry(
        "no acknowledgement within 3 s: the broker refused the credentials", misconfigured=True
    )


def test_a_message_over_the_limit_is_rejected_and_its_neighbours_are_delivered(make, cluster):
    large = replace(delivery(2), body=body_of("x" * 1_100_000))
    outcomes = make(topic="large").send([delivery(1), large, delivery(3)])
    assert outcomes == [
        Delivered(),
        Rejected("the message is larger than Kafka takes (MSG_SIZE_TOO_LARGE)"),
        Delivered(),
    ]


def test_settings_that_librdkafka_refuses_are_a_configuration_fault(make, tmp_path):
    not_pem = tmp_path / "ca.pem"
    not_pem.write_text("nothing")
    (outcome,) = make(tls=True, ca_file=str(not_pem)).send([delivery()])
    assert isinstance(outcome, Retry)
    assert outcome.misconfigured
    assert outcome.reason.startswith("Kafka takes no such settings: ")


class Producer:
    """Answers each message with the next of `answers`: an error, an exception, or None."""

    def __init__(self, answers):
        self.answers = answers
        self.produced = []
        self.purged = False
        self.taken = threading.Event()
        """Set when the first message has had its answer."""

    def __call__(self, configuration, logger):
        self.noticed = configuration["error_cb"]
        return self

    def produce(self, topic, value, on_delivery, **_):
        self.produced.append(value)
        answer = self.answers.pop(0)
        self.taken.set()
        if isinstance(answer, Exception):
            raise answer
        if answer != "nothing":
            on_delivery(answer and KafkaError(answer), None)

    def poll(self, seconds):
        threading.Event().wait(seconds)

    def purge(self):
        self.purged = True

    def flush(self, seconds):
        pass


def answered(*answers, count=None, timeout_seconds=10):
    """The outcomes that these answers come to."""
    producer = Producer(list(answers))
    client = KafkaClient(settings(timeout_seconds=timeout_seconds), make_producer=producer)
    try:
        return client.send([delivery(n) for n in range(count or len(answers))])
    finally:
        client.close()


@pytest.mark.parametrize(
    ("code", "reason", "misconfigured"),
    [
        (KafkaError.NOT_ENOUGH_REPLICAS, "Kafka: NOT_ENOUGH_REPLICAS", False),
        (KafkaError._PURGE_QUEUE, "Kafka: _PURGE_QUEUE", False),  # noqa: SLF001 - the library's name
        (KafkaError._MSG_TIMED_OUT, "no acknowledgement within 10 s", False),  # noqa: SLF001 - as above
        (KafkaError._UNKNOWN_TOPIC, "the topic does not exist", True),  # noqa: SLF001 - as above
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "this user may not write to the topic", True),
        (
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            "this user may not write idempotently (IdempotentWrite)",
            True,
        ),
    ],
)
def test_a_report_is_an_outcome_by_its_code(code, reason, misconfigured):
    assert answered(code) == [Retry(reason, misconfigured=misconfigured)]


def test_a_full_queue_is_tried_again():
    assert answered(BufferError()) == [Retry("the producer's queue is full")]


def test_no_report_at_all_ends_with_the_timeout_and_the_event_may_have_arrived():
    (outcome,) = answered("nothing", timeout_seconds=2)
    assert outcome == Retry("no acknowledgement within 2 s")
    assert outcome.unanswered


def test_a_thread_waits_for_its_own_messages_alone():
    """`flush` would wait for those of the others too."""
    producer = Producer(["nothing", None])
    client = KafkaClient(settings(timeout_seconds=3), make_producer=producer)
    stuck = threading.Thread(target=client.send, args=([delivery(1)],))
    stuck.start()
    assert producer.taken.wait(10)
    started = time.monotonic()
    assert client.send([delivery(2)]) == [Delivered()]
    assert time.monotonic() - started < 2
    stuck.join()
    client.close()


def test_what_a_broker_finds_too_large_together_goes_alone():
    too_large = KafkaError.MSG_SIZE_TOO_LARGE
    assert answered(too_large, too_large, None, too_large, count=2) == [
        Delivered(),
        Rejected("the message is larger than Kafka takes (MSG_SIZE_TOO_LARGE)"),
    ]


def test_after_a_fatal_error_the_next_attempt_has_a_new_producer():
    broken = Producer([KafkaException(KafkaError(KafkaError._FATAL))])  # noqa: SLF001 - as above
    sound = Producer([None])
    producers = iter([broken, sound])

    def make_producer(configuration, logger):
        return next(producers)(configuration, logger)

    client = KafkaClient(settings(), make_producer=make_producer)
    reason = "the producer had a fatal error; the next attempt begins with a new one"
    assert client.send([delivery(1)]) == [Retry(reason)]
    assert broken.purged
    assert client.send([delivery(1)]) == [Delivered()]
    client.close()


def test_a_report_that_cannot_be_read_does_not_stop_the_others(caplog):
    class Odd(Producer):
        def poll(self, seconds):
            raise ValueError(PASSWORD)

    client = KafkaClient(settings(), make_producer=Odd([None]))
    assert client.send([delivery()]) == [Delivered()]
    client.close()
    assert "a report of Kafka's could not be read: ValueError" in caplog.text
    assert PASSWORD not in caplog.text


# Settings


def test_messages_are_acknowledged_by_all_replicas_and_written_once_by_each_producer():
    properties = producer_configuration(settings())
    assert properties["acks"] == "all"
    assert properties["enable.idempotence"] is True
    assert properties["delivery.timeout.ms"] == 8500
    assert properties["security.protocol"] == "PLAINTEXT"
    assert "sasl.mechanism" not in properties


def test_user_and_certificate_become_librdkafkas_properties():
    properties = producer_configuration(
        settings(
            tls=True,
            ca_file="ca.pem",
            certificate_file="cert.pem",
            key_file="key.pem",
            key_password="k",
            username="u",
            password=PASSWORD,
            sasl_mechanism="SCRAM-SHA-512",
        )
    )
    assert properties["security.protocol"] == "SASL_SSL"
    assert properties["sasl.mechanism"] == "SCRAM-SHA-512"
    assert properties["sasl.username"] == "u"
    assert properties["sasl.password"] == PASSWORD
    assert properties["ssl.ca.location"] == "ca.pem"
    assert properties["ssl.certificate.location"] == "cert.pem"
    assert properties["ssl.key.location"] == "key.pem"
    assert properties["ssl.key.password"] == "k"


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "two words"},
        {"topic": "x" * 250},
        {"bootstrap_servers": "a:1, b:1"},
        {"username": "u"},
        {"password": "p"},
        {"certificate_file": "c.pem"},
        {"key_password": "p"},
        {"sasl_mechanism": "GSSAPI"},
        {"timeout_seconds": 1},
        {"group": "x"},
    ],
)
def test_the_schema_refuses(wrong):
    good = {"bootstrap_servers": "a:9092,b:9092", "topic": "shop.events_1"}
    assert Draft202012Validator(Kafka.settings_schema).is_valid(good)
    assert not Draft202012Validator(Kafka.settings_schema).is_valid(good | wrong)


def test_the_check_names_missing_files_and_what_has_no_use_without_tls(tmp_path):
    missing = str(tmp_path / "ca.pem")
    assert Kafka("warehouse", settings(ca_file=missing)).check() == [
        "ca_file: has no use without tls = true",
        f"ca_file: there is no file {missing}",
    ]


def test_the_logs_of_librdkafka_show_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    safe = SafeLog(logging.getLogger("kafka-test"), [PASSWORD])
    safe.log(logging.ERROR, "%s: user u, password %s", "FAIL", PASSWORD)
    assert caplog.messages == ["FAIL: user u, password …"]


def test_librdkafka_logs_through_it(make, nobody, caplog):
    the_broker_is_not_there(make, nobody)
    assert "Connection refused" in caplog.text
    assert {record.name for record in caplog.records} == {
        "segmentstream_api.destinations.kafka.client"
    }


def test_it_needs_no_setup(make):
    assert make().setup() == "needs no setup"


def test_setting_up_what_cannot_work_says_why(make, tmp_path):
    not_pem = tmp_path / "ca.pem"
    not_pem.write_text("nothing")
    with pytest.raises(DestinationUnusable, match="Kafka takes no such settings"):
        make(tls=True, ca_file=str(not_pem)).setup()
