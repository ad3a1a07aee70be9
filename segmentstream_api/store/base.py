"""What a store promises, and the records that go in and out of it.

The invariant: a dedup record exists exactly when the event is durable. A duplicate's 204 is then
always the truth: after a kill, after a 5xx, while the first request is still running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeAlias

from segmentstream_api.event.event import Event


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


class Store(ABC):
    """Keeps events until every destination has them. Safe for many threads and processes.

    Every method may raise StoreUnavailable; `open` raises StoreUnusable for a store that must
    not be used at all.
    """

    kind: ClassVar[str] = "custom"
    """One word for those who watch the service."""

    @property
    @abstractmethod
    def place(self) -> str:
        """For people: where it is, without secrets."""

    def describe(self) -> str:
        """The place and what else an operator asks first. Raises OSError if the place is gone."""
        return self.place

    @abstractmethod
    def require_makeable(self) -> None:
        """Raises an error of ours if `open` could not create it here. Changes nothing."""

    def exists(self) -> bool:
        """Whether there is one, or was; otherwise `open` creates it. For commands that only look.

        True, which stands here, is right where a store is made by other means than `open`.
        """
        return True

    @abstractmethod
    def open(self) -> None:
        """Opens or creates it, unless it is open in this very process already."""

    @abstractmethod
    def check(self) -> None:
        """Reads the whole store once and proves that it can be written. For start-up."""

    def writable(self) -> None:
        """Nothing if an event could be made durable now; else raises what `accept_all` would.

        Also StoreUnusable. It is asked every few seconds, keeps nothing and holds nobody up.
        """
        self.accept_all([])

    @abstractmethod
    def recall(self, event: Event) -> Receipt | None:
        """The receipt of an event seen before, by reading alone; None for a new one."""

    @abstractmethod
    def accept_all(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], *, waited_seconds: float = 0.0
    ) -> list[Receipt]:
        """Makes all of them durable in one transaction: dedup records, events, outbox rows.

        With each event come the leases of its outbox rows, in seconds by destination; 0 for one
        that is due at once. `waited_seconds` is how long the first of them has waited already: no
        event waits for a lock any longer in all because others came before it.
        """

    def accept(self, event: Event, leases_seconds: Mapping[str, float]) -> Receipt:
        """One event by itself; see `accept_all`."""
        (receipt,) = self.accept_all([(event, leases_seconds)])
        return receipt

    @abstractmethod
    def settle(self, settlements: Iterable[Settlement]) -> None:
        """Takes note without waiting; written with the next commit, or 200 ms later.

        A settlement that a crash swallows costs one repeat with the same key.
        """

    @abstractmethod
    def flush(self) -> None:
        """Writes the settlements that no commit has taken along yet."""

    @abstractmethod
    def claim(
        self, destination: str, *, limit: int, lease_seconds: float, probe: bool = False
    ) -> Sequence[OutboxRow]:
        """Leases up to `limit` due deliveries, oldest due first; nobody else gets them meanwhile.

        A `probe` may also take one that waits by our own choice.
        """

    @abstractmethod
    def release(self, destination: str) -> None:
        """Makes everything due that waits by our own choice: the destination is back."""

    @abstractmethod
    def now(self) -> float:
        """Unix seconds by the clock that leases and due times follow: one for all machines."""

    @abstractmethod
    def mend_clock(self) -> None:
        """Makes due what was scheduled by a clock that has since been set back."""

    @abstractmethod
    def note(self, destination: str, state: DestinationState) -> None:
        """Remembers the state for `status`; rides along like a settlement."""

    @abstractmethod
    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> Sequence[DeadLetter]:
        """The first `limit` dead letters that match, oldest event first."""

    @abstractmethod
    def count_dead_letters(self, wanted: DeadLetterFilter) -> int:
        """How many dead letters match."""

    @abstractmethod
    def replay(self, letters: Sequence[DeadLetter]) -> int:
        """Puts them back into the outbox, due now, with the same key and body; how many went."""

    @abstractmethod
    def drop(self, letters: Sequence[DeadLetter]) -> int:
        """Forgets them for good; how many went."""

    @abstractmethod
    def prune(self, destinations: Sequence[str], *, limit: int) -> int:
        """Removes up to `limit` of each kind that has had its time; how many went.

        Expired dedup records (unless the event still waits), dead letters past their keeping;
        and outbox rows of `destinations` past the retry time become dead letters.
        """

    @abstractmethod
    def export(self, after: Position, limit: int) -> Sequence[ExportedRecord]:
        """The next of all that another store needs to go on with; (0, b"") is the beginning.

        First the events that are still needed, then what is only remembered.
        """

    @abstractmethod
    def count_export(self) -> int:
        """How many `export` gives in all."""

    @abstractmethod
    def restore(self, records: Sequence[ExportedRecord]) -> int:
        """Takes over what it does not know yet, in one transaction; how many that were.

        A key that it knows already is left as it is, so the same may be restored again.
        """

    @abstractmethod
    def used_by(self) -> str | None:
        """Who else has it open, for people; None for nobody. Asked while it is not open here."""

    @abstractmethod
    def stats(self) -> Mapping[str, DestinationStats]:
        """Per destination that the store knows of."""

    @abstractmethod
    def close(self) -> None:
        """Flushes and lets go of everything. May be called again."""
