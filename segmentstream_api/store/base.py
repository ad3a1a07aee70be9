"""What a store promises, and the records that go in and out of it.

The invariant: a dedup record exists exactly when the event is durable. A duplicate's 204 is then
always the truth: after a kill, after a 5xx, while the first request is still running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from segmentstream_api.event.event import Event
from segmentstream_api.store.records import (
    DeadLetter,
    DeadLetterFilter,
    DestinationState,
    DestinationStats,
    ExportedRecord,
    OutboxRow,
    Position,
    Receipt,
    Settlement,
)


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
