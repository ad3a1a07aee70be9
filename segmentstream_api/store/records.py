"""The records that go into a store and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Acceptance(Enum):
    """How an event was taken. All three are acknowledged alike."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """A duplicate by its hit id whose body says something else; the first one stays."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The store's answer to one event. `event_id` is None where nothing was written."""

    acceptance: Acceptance
    event_id: int | None = None
    leases: Mapping[str, int] = field(default_factory=dict)
    """Per destination that the caller pushes to now: when its lease ends, Unix milliseconds."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One delivery that its holder may send until `lease_ms`, with all that sending needs."""

    event_id: int
    destination: str
    lease_ms: int
    attempts: int
    """How often it was sent before."""
    received_at: float
    key: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """The destination has it: the outbox row goes."""

    event_id: int
    destination: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """The row stays, due at `due_at` (Unix seconds). Ignored when `lease_ms` is no longer held.

    `held` says that it must not be sent before; otherwise a probe may take it early. A `reason`
    of None leaves the one before.
    """

    event_id: int
    destination: str
    lease_ms: int
    attempts: int
    due_at: float
    held: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Buried:
    """The destination will never take it, or not in time: it becomes a dead letter."""

    event_id: int
    destination: str
    attempts: int
    reason: str


Settlement = Settled | Postponed | Buried


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up. It is kept with its event until it is replayed or expires."""

    event_id: int
    destination: str
    project: str
    hit_id: str
    name: str
    received_at: float
    died_at: float
    attempts: int
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters are meant; what is None does not restrict. Times are Unix seconds."""

    destination: str | None = None
    name: str | None = None
    hit_id: str | None = None
    died_after: float | None = None
    died_before: float | None = None


@dataclass(frozen=True, slots=True)
class DestinationState:
    """What a worker last said of a destination; `since` is Unix seconds."""

    breaker: str = "closed"
    since: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None


@dataclass(frozen=True, slots=True)
class DestinationStats:
    """A destination's share of the store."""

    waiting: int = 0
    oldest_received_at: float | None = None
    dead: int = 0
    state: DestinationState = field(default_factory=DestinationState)


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """What waits for a destination, as it goes from one store into another."""

    destination: str
    attempts: int
    due_ms: int
    held: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class ExportedDeadLetter:
    """A dead letter, likewise."""

    destination: str
    attempts: int
    died_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """An event that is still needed, with everything that needs it."""

    project: str
    hit_id: str
    name: str
    received_ms: int
    body: bytes
    rows: Sequence[ExportedRow]
    deaths: Sequence[ExportedDeadLetter]


@dataclass(frozen=True, slots=True)
class ExportedRecord:
    """All that a store knows of one key. Without an `event`, every destination has it.

    `fingerprint` and `expires_s` are None for what came without a hit id.
    """

    position: Position
    key: bytes
    fingerprint: bytes | None
    expires_s: int | None
    event: ExportedEvent | None


Position: TypeAlias = tuple[int, bytes]
"""Where `export` goes on: first by event id, then, with the id LAST, by key."""


LAST = 2**63 - 1


UNNAMED = b""
"""The fingerprint by which `restore` remembers what came without a hit id, for a repetition."""


REPLAYED = "replayed"
"""Why a row is in the outbox again; such a one is not too old, however long ago it came."""


def storable(text: str) -> str:
    """The text without what databases refuse in a text: lone surrogates, and PostgreSQL NUL."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
