"""The embedded store: the standard library's SQLite, one transaction for many events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.event.event import Event
from segmentstream_api.logs.entries import CLOCK_SET_BACK, STORE_SETTLE_FAILED
from segmentstream_api.store.base import Store
from segmentstream_api.store.pending_settlements import PendingSettlements
from segmentstream_api.store.queries.dead_letters import (
    count_dead_letters,
    find_dead_letters,
)
from segmentstream_api.store.queries.dedup import recall
from segmentstream_api.store.queries.export import count_export, export
from segmentstream_api.store.queries.stats import read_stats
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
from segmentstream_api.store.sqlite import (
    accept as sqlite_accept,
)
from segmentstream_api.store.sqlite import (
    dead_letters as sqlite_dead_letters,
)
from segmentstream_api.store.sqlite import (
    outbox as sqlite_outbox,
)
from segmentstream_api.store.sqlite.disk import free_space
from segmentstream_api.store.sqlite.file import WAIT_FOR_LOCK_SECONDS, SqliteFile
from segmentstream_api.store.sqlite.restore import restore
from segmentstream_api.store.sqlite.schema import rewrite_schema_version

_PROBE_SECONDS = 1.0  # `writable` waits less for another program's lock than an event does


class SqliteStore(Store):
    """See `Store`. `clock` is the wall clock, Unix seconds."""

    def __init__(
        self,
        file: SqliteFile,
        *,
        dedup_window_seconds: float,
        retry_for_seconds: float,
        dead_letters_for_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._dedup_window_seconds = dedup_window_seconds
        self._retry_for_seconds = retry_for_seconds
        self._dead_letters_for_seconds = dead_letters_for_seconds
        self._clock = clock
        self._unwritten = PendingSettlements()

    kind = "sqlite"

    @property
    def place(self) -> str:
        return str(self._file.path)

    def describe(self) -> str:
        return f"{self.place}, {free_space(self._file.path)}"

    def require_makeable(self) -> None:
        self._file.require_makeable()

    def exists(self) -> bool:
        return self._file.exists()

    def open(self) -> None:
        self._file.open()

    def check(self) -> None:
        self._file.check_pages()
        with self._file.writing():
            pass
        self._file.require_space()

    def writable(self) -> None:
        """Writes a page: a transaction of nothing succeeds on a disk that cannot be written."""
        self._file.require_space()
        with self._file.writing(waited_seconds=WAIT_FOR_LOCK_SECONDS - _PROBE_SECONDS) as writer:
            rewrite_schema_version(writer)

    def recall(self, event: Event) -> Receipt | None:
        with self._file.reading() as reader:
            return recall(reader, event, self._clock())

    def accept_all(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], *, waited_seconds: float = 0.0
    ) -> list[Receipt]:
        self._file.require_space()
        return self._commit(events, waited_seconds)

    def settle(self, settlements: Iterable[Settlement]) -> None:
        self._unwritten.settle(settlements)

    def note(self, destination: str, state: DestinationState) -> None:
        self._unwritten.note(destination, state)

    def flush(self) -> None:
        if self._unwritten:
            self._commit([], 0.0)

    def claim(
        self, destination: str, *, limit: int, lease_seconds: float, probe: bool = False
    ) -> Sequence[OutboxRow]:
        with self._file.reading() as reader:
            if not sqlite_outbox.any_due(reader, destination, self._now_ms(), probe=probe):
                return []  # the usual case must not cost a transaction
        with self._file.writing() as writer:
            now_ms = self._now_ms()  # now, and not before it waited: a lease is short
            return sqlite_outbox.lease(
                writer,
                destination,
                now_ms=now_ms,
                lease_ms=now_ms + int(lease_seconds * 1000),
                limit=limit,
                probe=probe,
            )

    def release(self, destination: str) -> None:
        with self._file.writing() as writer:
            sqlite_outbox.make_due(writer, destination, self._now_ms())

    def now(self) -> float:
        return self._clock()

    def mend_clock(self) -> None:
        with self._file.reading() as reader:
            if not sqlite_outbox.any_from_the_future(reader, self._now_ms()):
                return
        with self._file.writing() as writer:
            count = sqlite_outbox.make_future_rows_due(writer, self._now_ms())
        CLOCK_SET_BACK(count=count)

    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> Sequence[DeadLetter]:
        with self._file.reading() as reader:
            return find_dead_letters(reader, wanted, limit)

    def count_dead_letters(self, wanted: DeadLetterFilter) -> int:
        with self._file.reading() as reader:
            return count_dead_letters(reader, wanted)

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        with self._file.writing() as writer:
            return sqlite_dead_letters.replay_dead_letters(writer, letters, self._now_ms())

    def drop(self, letters: Sequence[DeadLetter]) -> int:
        with self._file.writing() as writer:
            return sqlite_dead_letters.drop_dead_letters(writer, letters)

    def prune(self, destinations: Sequence[str], *, limit: int) -> int:
        now_ms = self._now_ms()
        with self._file.writing() as writer:
            return sqlite_dead_letters.prune(
                writer,
                destinations,
                now_ms=now_ms,
                accepted_before_ms=now_ms - int(self._retry_for_seconds * 1000),
                died_before_ms=now_ms - int(self._dead_letters_for_seconds * 1000),
                limit=limit,
            )

    def export(self, after: Position, limit: int) -> Sequence[ExportedRecord]:
        with self._file.reading() as reader:
            return export(reader, after, limit, self._clock())

    def count_export(self) -> int:
        with self._file.reading() as reader:
            return count_export(reader, self._clock())

    def restore(self, records: Sequence[ExportedRecord]) -> int:
        self._file.require_space()
        with self._file.writing() as writer:
            now = self._clock()
            remember_until = int(now + self._dedup_window_seconds)
            return restore(writer, records, now, remember_until)

    def used_by(self) -> str | None:
        return "another process" if self._file.is_open_elsewhere() else None

    def stats(self) -> Mapping[str, DestinationStats]:
        with self._file.reading() as reader:
            return read_stats(reader)

    def close(self) -> None:
        try:
            self.flush()
        except SegmentStreamError as error:
            STORE_SETTLE_FAILED(reason=error)
        self._file.close()

    def _commit(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], waited_seconds: float
    ) -> list[Receipt]:
        """One transaction for all of them, and for what was settled since the last one."""
        with (
            self._unwritten.kept_unless_written() as take,
            self._file.writing(waited_seconds) as writer,
        ):
            settlements, states = take()
            now = self._clock()
            receipts = sqlite_accept.insert_events(
                writer, events, now=now, remember_until=now + self._dedup_window_seconds
            )
            sqlite_outbox.settle(writer, settlements, int(now * 1000))
            sqlite_outbox.write_states(writer, states)
        return receipts

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
