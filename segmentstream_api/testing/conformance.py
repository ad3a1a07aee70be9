"""What every destination must do, as one test class for any of them.

Subclass `DestinationConformance` and give it a fixture `subject`; pytest does the rest.
docs/destinations.md shows a whole test file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import (
    Delivered,
    Delivery,
    Destination,
    Rejected,
    Retry,
)
from segmentstream_api.testing.peer import Peer, Received, answer, closed_port
from segmentstream_api.timestamps import format_instant

Make: TypeAlias = Callable[[str], Destination]
"""A destination of the subject's type that talks to the peer at this URL."""

_JUST_NOW = format_instant(datetime.now(UTC))


@dataclass(frozen=True)
class Subject:
    """A destination type and how to set it up: `settings(peer_url, folder)`.

    Its own deadline should be short, about 0.2 s: some peers never answer. Give every secret that
    it knows, in a form that can be found again. `accepting` is an answer by which it delivers;
    `varying_headers` differ from attempt to attempt. Where what takes events is no HTTP server,
    `peer` runs one that does, as a context manager that gives its URL.
    """

    destination_class: type[Destination]
    settings: Callable[[str, Path], Mapping[str, Any]]
    accepting: bytes = answer("200 OK", b"{}")
    varying_headers: frozenset[str] = frozenset()
    peer: Callable[[], contextlib.AbstractContextManager[str]] | None = None

    def accepting_peer(self) -> contextlib.AbstractContextManager[str]:
        """Runs what takes events; gives its URL."""
        return self.peer() if self.peer else _served(replies=self.accepting, keep_alive=True)


def delivery(number: int = 1) -> Delivery:
    """An event like the documented example, one line long."""
    envelope = {
        "project": "shop",
        "hitId": f"hit-{number}",
        "sentAt": "2026-01-02T03:04:05.000Z",
        "receivedAt": "2026-01-02T03:04:06.000Z",
        "event": {
            "category": "Ecommerce",
            "name": "Product Added",
            "user": {"anonymousId": "an-1", "userId": f"user-{number}"},
        },
        "context": {"ip": "192.0.2.1", "userAgent": "tést"},
    }
    return Delivery(key=f"{number:032x}", body=json.dumps(envelope, ensure_ascii=False).encode())


def recent(number: int = 1) -> Delivery:
    """The same, but it has just happened: some vendors refuse what is days old."""
    plain = delivery(number)
    envelope = {**plain.document, "sentAt": _JUST_NOW, "receivedAt": _JUST_NOW}
    return Delivery(key=plain.key, body=json.dumps(envelope, ensure_ascii=False).encode())


def complete(schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the schema's defaults, as a destination gets them."""
    properties = schema["properties"].items()
    defaults = {name: prop["default"] for name, prop in properties if "default" in prop}
    return defaults | dict(settings)


def echo(request: Received) -> list[bytes]:
    """A refusal that repeats everything that was sent."""
    everything = f"{request.line}\n{request.headers}\n".encode() + request.body
    return [answer("400 Bad Request", everything, X_Echo=request.line)]


@contextlib.contextmanager
def _nobody() -> Iterator[str]:
    yield closed_port()


@contextlib.contextmanager
def _served(**options: Any) -> Iterator[str]:
    with Peer(**options) as peer:
        yield peer.url


FAULTS: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "refuses the connection": _nobody,
    "never answers": lambda: _served(replies=None),
    "answers garbage": lambda: _served(replies=b"\x00\xff garbage\r\n\r\n"),
    "answers with broken headers": lambda: _served(
        replies=b"HTTP/1.1 500 Oops\r\n: broken\r\nno colon\r\n\r\n"
    ),
    "hangs up without an answer": lambda: _served(replies=b""),
    "cuts its answer short": lambda: _served(replies=b"HTTP/1.1 500 Oops\r\nContent-Length: 9"),
    "redirects": lambda: _served(replies=answer("302 Found", Location="/elsewhere")),
    "answers 500": lambda: _served(replies=answer("500 Internal Server Error", b"oops")),
    "answers 400 with what it was sent": lambda: _served(replies=echo),
}


class DestinationConformance:
    @pytest.fixture
    def subject(self) -> Subject:
        raise NotImplementedError("give your test class a fixture named subject")

    @pytest.fixture
    def make(self, subject: Subject, tmp_path: Path) -> Iterator[Make]:
        made: list[Destination] = []

        def make(peer_url: str) -> Destination:
            schema = subject.destination_class.settings_schema
            settings = complete(schema, subject.settings(peer_url, tmp_path))
            Draft202012Validator(schema).validate(settings)
            made.append(subject.destination_class("under-test", settings))
            return made[-1]

        yield make
        for destination in made:
            destination.close()

    def test_it_has_a_name_for_the_configuration_and_one_for_integrations(
        self, subject: Subject
    ) -> None:
        assert subject.destination_class.type_name.replace("-", "").isalnum()
        assert subject.destination_class.type_name.islower()
        assert subject.destination_class.display_name.strip()

    def test_its_batches_hold_at_least_one_delivery(self, subject: Subject) -> None:
        assert subject.destination_class.batch_size >= 1

    def test_its_settings_schema_is_valid_and_describes_every_setting(
        self, subject: Subject
    ) -> None:
        schema = subject.destination_class.settings_schema
        Draft202012Validator.check_schema(schema)
        assert "type" not in schema["properties"], "`type` is the configuration's own"
        assert schema["additionalProperties"] is False, "a misspelt setting must not pass"
        undescribed = [name for name, p in schema["properties"].items() if not p.get("description")]
        assert undescribed == []

    def test_its_defaults_pass_its_own_schema(self, subject: Subject) -> None:
        for setting in subject.destination_class.settings_schema["properties"].values():
            if "default" in setting:
                Draft202012Validator(setting).validate(setting["default"])

    def test_it_finds_nothing_wrong_with_good_settings_and_asks_nobody(self, make: Make) -> None:
        with Peer(answer("500 Internal Server Error")) as peer:
            assert make(peer.url).check() == []
            assert peer.connections == 0

    def test_a_full_batch_gets_one_outcome_for_each_delivery(
        self, subject: Subject, make: Make
    ) -> None:
        count = min(subject.destination_class.batch_size, 50)
        with subject.accepting_peer() as url:
            outcomes = make(url).send([recent(n) for n in range(count)])
        assert outcomes == [Delivered()] * count

    def test_several_threads_may_send_at_once(self, subject: Subject, make: Make) -> None:
        with subject.accepting_peer() as url:
            destination = make(url)
            outcomes: list[object] = []

            def send(number: int) -> None:
                outcomes.extend(destination.send([recent(number)]))

            threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            destination.close()
        assert outcomes == [Delivered()] * 8

    def test_every_attempt_sends_the_same(self, subject: Subject, make: Make) -> None:
        if subject.destination_class.local or subject.peer:
            pytest.skip("it sends no HTTP requests that could be compared")
        with Peer(subject.accepting) as peer:
            for _ in range(2):  # the second is another process, after a restart
                make(peer.url).send([recent()])
        first, second = peer.received
        assert first.line == second.line
        assert first.body == second.body
        for name in first.headers.keys() | second.headers.keys():
            if name not in subject.varying_headers:
                assert first.headers.get(name) == second.headers.get(name), name

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_faulty_peer_is_an_outcome_and_never_an_exception(
        self, subject: Subject, make: Make, fault: str
    ) -> None:
        with FAULTS[fault]() as url:
            outcomes = make(url).send([recent()])
        assert len(outcomes) == 1
        possible = (Delivered,) if subject.destination_class.local else (Retry, Rejected)
        assert isinstance(outcomes[0], possible)

    def test_it_does_not_follow_redirects(self, make: Make) -> None:
        with (
            Peer(answer("200 OK", b"{}")) as elsewhere,
            Peer(answer("307 Temporary Redirect", Location=elsewhere.url)) as peer,
        ):
            make(peer.url).send([recent()])
            assert elsewhere.connections == 0

    @pytest.mark.parametrize("fault", FAULTS)
    def test_it_never_shows_a_secret(
        self, make: Make, fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with FAULTS[fault]() as url:
            destination = make(url)
            outcomes = destination.send([recent()])
        shown = f"{destination!r} {destination} {destination.check()} {outcomes!r} {caplog.text}"
        for secret in secrets_of(destination):
            assert secret not in shown

    def test_it_never_shows_what_is_in_an_event(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with Peer(echo) as peer:
            outcomes = make(peer.url).send([recent(77)])
        assert "user-77" not in f"{outcomes!r} {caplog.text}"

    def test_a_probe_is_an_outcome_and_a_sentence_that_shows_nothing(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with Peer(echo) as peer:
            destination = make(peer.url)
            outcome, sentence = destination.probe(recent(77))
        assert isinstance(outcome, Delivered | Retry | Rejected)
        assert sentence
        shown = f"{outcome!r} {sentence} {caplog.text}"
        assert not [text for text in (*secrets_of(destination), "user-77") if text in shown]

    def test_closing_it_twice_is_no_fault(self, subject: Subject, make: Make) -> None:
        with subject.accepting_peer() as url:
            destination = make(url)
            destination.send([recent()])
        destination.close()
        destination.close()

    def test_closing_it_unused_is_no_fault(self, make: Make) -> None:
        make(closed_port()).close()


def secrets_of(destination: Destination) -> list[str]:
    """Every text under a setting that is marked writeOnly."""
    properties = destination.settings_schema["properties"]
    return [
        text
        for name, value in destination.settings.items()
        if properties[name].get("writeOnly")
        for text in _texts(value)
    ]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
