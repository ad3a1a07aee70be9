"""The connections of one process to the store's database.

There are two, however many threads: one for what requests wait for, one for everything else, so
that the one never waits for the other. Nothing of a transaction outlives it on its connection and
nothing is prepared, so a pooler (PgBouncer in transaction mode) may stand in between.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from segmentstream_api.errors import SegmentStreamError, StoreUnavailable, StoreUnusable
from segmentstream_api.postgresql.connections import abort_connection, silence_library_logs
from segmentstream_api.postgresql.faults import fault_of
from segmentstream_api.store.postgresql.connection import Connection, ConnectionSlot, Outage
from segmentstream_api.store.postgresql.deadlines import Deadlines

MAX_SECONDS = 5.0  # that a request waits for the store, as for SQLite's lock
APPLICATION_NAME = "segmentstream-api store"
_MIN_SECONDS = 0.5  # what a transaction gets whose requests have waited for others
_MAX_CONNECT_SECONDS = 3.0
_MIN_CONNECT_SECONDS = 2  # libpq's own

# Unless the connection string says otherwise. Seconds, but for tcp_user_timeout: milliseconds.
_DEFAULTS: Mapping[str, str | int] = {
    "application_name": APPLICATION_NAME,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",  # of several hosts the primary
}


class PostgresqlConnections:
    """`prepare` is called with each new connection; it may refuse it by an exception of ours."""

    def __init__(self, dsn: str, place: str, prepare: Callable[[Connection], None]) -> None:
        silence_library_logs()
        self._dsn = dsn
        self._place = place
        self._prepare = prepare
        self._lock = threading.Lock()
        self._inherited: list[ConnectionSlot] = []
        self._pid: int | None = None
        self._deadlines: Deadlines
        self._for_requests: ConnectionSlot
        self._for_others: ConnectionSlot

    def transaction(
        self, *, for_requests: bool = False, seconds: float = MAX_SECONDS
    ) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends without an exception.

        Its statements are sent together, as far as no result is read in between. Raises
        StoreUnavailable after `seconds` at the latest, or StoreUnusable; then nothing was kept,
        unless the connection was lost in the very commit.
        """
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            line = self._for_requests if for_requests else self._for_others
        return line.transaction(max(seconds, _MIN_SECONDS))

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection of its own that was not prepared, for a look. Raises as `transaction`."""
        connection = self._reach(time.monotonic() + MAX_SECONDS)
        timer = threading.Timer(MAX_SECONDS, abort_connection, [connection])
        timer.start()
        try:
            yield connection
        except psycopg.Error as error:
            raise self._refusal(error) from None
        finally:
            timer.cancel()
            connection.close()

    def close(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                return
            self._pid = None
            self._for_requests.close()
            self._for_others.close()
            self._deadlines.stop()

    def _begin(self) -> None:
        """In this process. What a parent has open is neither used here nor closed."""
        if self._pid is not None:
            self._inherited += [self._for_requests, self._for_others]
        outage = Outage()
        self._deadlines = Deadlines()
        self._for_requests = ConnectionSlot(self._connect, self._deadlines, outage)
        self._for_others = ConnectionSlot(self._connect, self._deadlines, outage)
        self._deadlines.start()
        self._pid = os.getpid()

    def _connect(self, deadline: float) -> Connection:
        connection = self._reach(deadline)
        try:
            with self._deadlines.watch(connection, deadline):
                self._prepare(connection)
        except psycopg.Error as error:
            connection.close()
            raise self._refusal(error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _reach(self, deadline: float) -> Connection:
        given = conninfo_to_dict(self._dsn)
        more = {name: value for name, value in _DEFAULTS.items() if name not in given}
        hosts = str(given.get("host") or "").count(",") + 1
        seconds = min(_MAX_CONNECT_SECONDS, deadline - time.monotonic()) / hosts
        try:
            connection: Connection = psycopg.connect(
                make_conninfo(self._dsn, **more),
                autocommit=True,
                prepare_threshold=None,
                client_encoding="UTF8",
                connect_timeout=max(_MIN_CONNECT_SECONDS, int(seconds)),
            )
        except psycopg.Error as error:  # not chained: its text quotes the connection string
            raise self._refusal(error) from None
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _refusal(self, error: psycopg.Error) -> SegmentStreamError:
        """For good, or only now: a server that starts, or a name that cannot be resolved yet."""
        fault = fault_of(error)
        if fault.misconfigured and not fault.may_pass:
            return StoreUnusable(self._place, f"cannot be used: {fault.reason}")
        return StoreUnavailable(f"the store cannot be reached: {fault.reason}")
