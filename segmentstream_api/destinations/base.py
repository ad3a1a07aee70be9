"""What a destination is: settings, a display name, limits, and `send`.

A destination knows nothing of the requests that come in, of the store, or of retry timing.
`delivery/` calls it; a new one is one file with one class, registered in `registry.py` or
through the entry-point group `segmentstream_api.destinations`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

DEFAULT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one destination. Every attempt carries the same key and body."""

    key: str
    """Idempotency key: 32 lower-case hex digits, the same at every attempt and destination."""

    body: bytes
    """The envelope as UTF-8 JSON on one line, frozen when the event was accepted."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """What the client's `integrations` says for this destination; `{}` if nothing."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """The destination's `rename` setting: event name → the name that the vendor gets."""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The envelope, parsed: `hitId`, `sentAt`, `receivedAt`, `project`, `event` and others."""
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def event_name(self) -> str:
        """The event's name for the vendor; empty if it has none."""
        name = self.document["event"].get("name")
        return self.rename.get(name, name) if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has the event and will keep it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not delivered, or not known to be: try again.

    `after_seconds` is what the destination asked for (`Retry-After`), None if it asked nothing.
    `misconfigured` marks what only the operator can mend: a wrong key, host or certificate.
    `unanswered` marks what may have arrived: it was sent, in part at least, and no answer came.
    The reason says it in words, so it is left out of comparisons.
    """

    reason: str
    after_seconds: float | None = None
    misconfigured: bool = False
    unanswered: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination will never take this event; it becomes a dead letter with this reason."""

    reason: str


Outcome = Delivered | Retry | Rejected


class Destination(ABC):
    """One configured destination. Made once per worker process, after the fork."""

    type_name: ClassVar[str]
    """What `type = "…"` says in the configuration, such as `google-analytics`."""

    display_name: ClassVar[str]
    """What `integrations` calls it, such as `Google Analytics`."""

    settings_schema: ClassVar[Mapping[str, Any]]
    """JSON Schema of its settings, without `type`. `"format": "path"` marks a path that is taken
    relative to the configuration file; `"writeOnly": true` marks a secret, never shown."""

    batch_size: ClassVar[int] = 1
    """The most deliveries that one `send` takes."""

    local: ClassVar[bool] = False
    """True where `send` waits for this machine's disk alone: it then runs in the request's own
    thread, one batch at a time. Everything that crosses a network leaves it False."""

    maps_events: ClassVar[bool] = True
    """False where the envelope is handed on as it is, so that `rename` would do nothing."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        """`settings` has passed `settings_schema`, with its defaults filled in."""
        self.name = name
        self.settings = settings

    @classmethod
    def usual_concurrency(cls) -> int:
        """How many `send`s run side by side in each worker, unless the configuration says.

        Few that are full; or as many as it takes to be quick with one event in each: at 50 ms
        apiece 16 of them deliver 320 events a second.
        """
        return 4 if cls.batch_size > 1 else 16

    @property
    def timeout_seconds(self) -> float:
        """The longest that one `send` takes, in all; leases are longer."""
        return float(self.settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS))

    def check(self) -> list[str]:
        """What is wrong with the settings beyond the schema, a sentence each; contacts nobody."""
        return []

    @abstractmethod
    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """One outcome per delivery, in their order. Called by several threads at once.

        Bounded in time by the destination's own total deadline. An exception that escapes is
        taken as `Retry` for the whole list and logged as a defect of the destination.
        """

    def probe(self, delivery: Delivery) -> tuple[Outcome, str]:
        """What becomes of one delivery, and a sentence that says so: for `check --send`.

        It is sent in earnest. A destination whose vendor can check an event without recording
        it asks for that instead.
        """
        (outcome,) = self.send([delivery])
        match outcome:
            case Delivered():
                return outcome, "delivered"
            case Rejected(reason):
                return outcome, f"rejected: {reason}"
            case Retry(reason):
                return outcome, f"not delivered: {reason}"

    def setup(self) -> str:
        """Makes what the destination needs on its other side, unless it is there; says what it did.

        For `destinations setup`. Raises DestinationUnusable with what keeps it from doing so.
        """
        return "needs no setup"

    def close(self) -> None:  # noqa: B027 - most destinations hold nothing
        """Frees what the destination holds. No `send` is running or will follow."""
