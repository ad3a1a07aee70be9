"""The store for many machines: PostgreSQL, one transaction for many events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from psycopg.conninfo import conninfo_to_dict

from segmentstream_api.errors import SegmentStreamError, StoreUnavailable
from segmentstream_api.event.event import Event
from segmentstream_api.logs.entries import CLOCK_SET_BACK, STORE_SETTLE_FAILED, STORE_UNSAFE
from segmentstream_api.store.base import Store
from segmentstream_api.store.pending_settlements import PendingSettlements
from segmentstream_api.store.postgresql import (
    dead_letters as postgresql_dead_letters,
)
from segmentstream_api.store.postgresql import (
    outbox as postgresql_outbox,
)
from segmentstream_api.store.postgresql.accept import insert_events
from segmentstream_api.store.postgresql.clock import ServerClock
from segmentstream_api.store.postgresql.connection import Connection
from segmentstream_api.store.postgresql.connections import (
    APPLICATION_NAME,
    MAX_SECONDS,
    PostgresqlConnections,
)
from segmentstream_api.store.postgresql.reader import PostgresqlReader
from segmentstream_api.store.postgresql.restore import restore
from segmentstream_api.store.postgresql.schema import (
    create_tables,
    identity_of,
    others_connected,
    require_right_to_create,
)
from segmentstream_api.store.queries.dead_letters import count_dead_letters, find_dead_letters
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

_PATIENT_SECONDS = 60.0  # for whoever counts and reads all there is; no request waits for it
_MADE_DUE_AT_ONCE = 5_000  # rows of a large backlog, well within the time of a transaction


class PostgresqlStore(Store):
    """See `Store`. `clock`, Unix seconds, is the server's unless given."""

    def __init__(
        self,
        dsn: str,
        *,
        dedup_window_seconds: float,
        retry_for_seconds: float,
        dead_letters_for_seconds: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._place = _place(dsn)
        self._dedup_window_seconds = dedup_window_seconds
        self._retry_for_seconds = retry_for_seconds
        self._dead_letters_for_seconds = dead_letters_for_seconds
        self._server_clock = ServerClock()
        self._clock = clock or self._server_clock
        self._identity: str | None = None
        self._connections = PostgresqlConnections(dsn, self._place, self._prepare)
        self._unwritten = PendingSettlements()

    kind = "postgresql"

    @property
    def place(self) -> str:
        return self._place

    def exists(self) -> bool:
        with self._connections.glance() as connection:
            return identity_of(connection, self._place) is not None

    def require_makeable(self) -> None:
        with self._connections.glance() as connection:
            require_right_to_create(connection, self._place)

    def open(self) -> None:
        with self._transaction():
            pass

    def check(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT FROM store FOR UPDATE")  # a standby refuses that
            (fsync,) = connection.execute("SHOW fsync").fetchone() or ("on",)
        if fsync == "off":
            STORE_UNSAFE()

    def writable(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT FROM store FOR UPDATE SKIP LOCKED")  # a standby refuses it

    def recall(self, event: Event) -> Receipt | None:
        with self._transaction() as connection:
            return recall(PostgresqlReader(connection), event, self._clock())

    def accept_all(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], *, waited_seconds: float = 0.0
    ) -> list[Receipt]:
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
        with self._transaction() as connection:
            now_ms = self._now_ms()  # now, and not before it waited: a lease is short
            return postgresql_outbox.lease(
                connection,
                destination,
                now_ms=now_ms,
                lease_ms=now_ms + int(lease_seconds * 1000),
                limit=limit,
                probe=probe,
            )

    def release(self, destination: str) -> None:
        made_due = _MADE_DUE_AT_ONCE
        while made_due == _MADE_DUE_AT_ONCE:
            with self._transaction() as connection:
                made_due = postgresql_outbox.make_due(
                    connection, destination, self._now_ms(), _MADE_DUE_AT_ONCE
                )

    def now(self) -> float:
        return self._clock()

    def mend_clock(self) -> None:
        """Reads the server's clock too. Of all workers one looks through the outbox at a time."""
        with self._transaction() as connection:
            self._server_clock.read(connection)
            if not postgresql_outbox.take_turn_to_mend(connection, self._now_ms()):
                return
            count = postgresql_outbox.make_future_rows_due(
                connection, self._now_ms(), _MADE_DUE_AT_ONCE
            )
        if count:
            CLOCK_SET_BACK(count=count)

    def dead_letters(self, wanted: DeadLetterFilter, limit: int) -> Sequence[DeadLetter]:
        with self._transaction(_PATIENT_SECONDS) as connection:
            return find_dead_letters(PostgresqlReader(connection), wanted, limit)

    def count_dead_letters(self, wanted: DeadLetterFilter) -> int:
        with self._transaction(_PATIENT_SECONDS) as connection:
            return count_dead_letters(PostgresqlReader(connection), wanted)

    def replay(self, letters: Sequence[DeadLetter]) -> int:
        with self._transaction() as connection:
            return postgresql_dead_letters.replay_dead_letters(connection, letters, self._now_ms())

    def drop(self, letters: Sequence[DeadLetter]) -> int:
        with self._transaction() as connection:
            return postgresql_dead_letters.drop_dead_letters(connection, letters)

    def prune(self, destinations: Sequence[str], *, limit: int) -> int:
        """Each kind in its own transaction; what another machine prunes just now is left to it."""
        now_ms = self._now_ms()
        died_before_ms = now_ms - int(self._dead_letters_for_seconds * 1000)
        with self._transaction() as connection:
            forgotten = postgresql_dead_letters.forget(connection, now_ms, limit)
        with self._transaction() as connection:
            expired = postgresql_dead_letters.expire_dead_letters(connection, died_before_ms, limit)
        with self._transaction() as connection:
            given_up = postgresql_dead_letters.give_up(
                connection,
                destinations,
                now_ms=now_ms,
                accepted_before_ms=now_ms - int(self._retry_for_seconds * 1000),
                limit=limit,
            )
        return forgotten + expired + given_up

    def export(self, after: Position, limit: int) -> Sequence[ExportedRecord]:
        with self._transaction(_PATIENT_SECONDS) as connection:
            return export(PostgresqlReader(connection), after, limit, self._clock())

    def count_export(self) -> int:
        with self._transaction(_PATIENT_SECONDS) as connection:
            return count_export(PostgresqlReader(connection), self._clock())

    def restore(self, records: Sequence[ExportedRecord]) -> int:
        with self._transaction(_PATIENT_SECONDS) as connection:
            now = self._clock()
            remember_until = int(now + self._dedup_window_seconds)
            return restore(connection, records, now, remember_until)

    def used_by(self) -> str | None:
        with self._connections.glance() as connection:
            machines = others_connected(connection, APPLICATION_NAME)
        return f"connections from {', '.join(machines)}" if machines else None

    def stats(self) -> Mapping[str, DestinationStats]:
        with self._transaction(_PATIENT_SECONDS) as connection:
            return read_stats(PostgresqlReader(connection))

    def close(self) -> None:
        try:
            self.flush()
        except SegmentStreamError as error:
            STORE_SETTLE_FAILED(reason=error)
        self._connections.close()

    def _commit(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], waited_seconds: float
    ) -> list[Receipt]:
        """One transaction for all of them, and for what was settled since the last one."""
        with (
            self._unwritten.kept_unless_written() as take,
            self._connections.transaction(
                for_requests=True, seconds=MAX_SECONDS - waited_seconds
            ) as connection,
        ):
            settlements, states = take()
            now = self._clock()
            receipts = insert_events(
                connection, events, now=now, remember_until=now + self._dedup_window_seconds
            )
            postgresql_outbox.settle(connection, settlements, int(now * 1000))
            postgresql_outbox.write_states(connection, states)
        return receipts

    def _transaction(self, seconds: float = MAX_SECONDS) -> AbstractContextManager[Connection]:
        return self._connections.transaction(seconds=seconds)

    def _prepare(self, connection: Connection) -> None:
        """A new connection: is this our store, and still the same one?"""
        self._server_clock.read(connection)
        identity = identity_of(connection, self._place)
        if identity is None and self._identity is None:
            identity = create_tables(connection, self._place)
        if self._identity not in {None, identity}:
            raise StoreUnavailable(
                "the store's tables are gone"
                if identity is None
                else "the store was replaced by another; restart to use the new one"
            )
        self._identity = identity

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _place(dsn: str) -> str:
    """The connection string without user, password and options."""
    given = conninfo_to_dict(dsn)
    host, port, database = (str(given.get(name) or "") for name in ("host", "port", "dbname"))
    return f"postgresql://{host}{port and f':{port}'}/{database}"
