"""One connection to the store's database: made when it is needed, and anew when it broke."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from segmentstream_api.errors import SegmentStreamError, StoreUnavailable
from segmentstream_api.logs.entries import STORE_RECONNECTED
from segmentstream_api.postgresql.faults import fault_of
from segmentstream_api.store.postgresql.deadlines import Deadlines
from segmentstream_api.store.postgresql.schema import SCHEMA

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_SERVER_SHARE = 0.9  # of the time: the server gives up before its connection is cut
_HOLD_OFF_SECONDS = 0.5  # after a failure: nobody tries, so whoever waits is told at once

# For the transaction alone. Who asked for more than the server's own disk, such as a standby's,
# keeps it; who asked for less gets that.
_BEGIN = """
SELECT set_config('search_path', %s, true),
 set_config('statement_timeout', %s, true),
 set_config('idle_in_transaction_session_timeout', %s, true),
 set_config('synchronous_commit', CASE current_setting('synchronous_commit')
  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)
"""


def rows_changed(connection: Connection, statement: str, values: Any) -> int:
    """Executes it and waits for its end, since only then the number of rows is known."""
    with connection.pipeline():
        cursor = connection.execute(statement.encode(), values)
    return cursor.rowcount


class Outage:
    """What keeps a process from its database, as last seen."""

    def __init__(self) -> None:
        self._error: SegmentStreamError | None = None
        self._tell_until = 0.0

    def began(self, error: SegmentStreamError) -> None:
        self._error = error
        self._tell_until = time.monotonic() + _HOLD_OFF_SECONDS

    def ended(self) -> None:
        if self._error is not None:
            STORE_RECONNECTED()
            self._error = None

    def require_none(self) -> None:
        """Raises what was raised before, for a moment after that."""
        if self._error is not None and time.monotonic() < self._tell_until:
            raise self._error.with_traceback(None)


class ConnectionSlot:
    """A connection, or the place of one, and one transaction on it at a time.

    `connect` makes a connection by a deadline (monotonic seconds), or raises an error of ours.
    """

    def __init__(
        self, connect: Callable[[float], Connection], deadlines: Deadlines, outage: Outage
    ) -> None:
        self._connect = connect
        self._deadlines = deadlines
        self._outage = outage
        self._turn = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self, seconds: float) -> Iterator[Connection]:
        """See `PostgresqlConnections.transaction`."""
        deadline = time.monotonic() + seconds
        if not self._turn.acquire(timeout=seconds):
            raise StoreUnavailable("the store is busy with what was asked of it before")
        try:
            connection = self._connected(deadline)
            try:
                left_ms = str(max(1, int((deadline - time.monotonic()) * _SERVER_SHARE * 1000)))
                with (
                    self._deadlines.watch(connection, deadline),
                    connection.pipeline(),
                    connection.transaction(),
                ):
                    connection.execute(_BEGIN, (SCHEMA, left_ms, left_ms))
                    yield connection
            except psycopg.Error as error:  # not chained: its text may quote what was sent
                raise self._unavailable(connection, error) from None
            finally:
                if connection.info.transaction_status != TransactionStatus.IDLE:
                    self._drop()
        finally:
            self._turn.release()

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _connected(self, deadline: float) -> Connection:
        if self._connection is not None and _was_hung_up(self._connection):
            self._drop()
        if self._connection is None:
            self._outage.require_none()
            try:
                self._connection = self._connect(deadline)
            except SegmentStreamError as error:
                self._outage.began(error)
                raise
            self._outage.ended()
        return self._connection

    def _unavailable(self, connection: Connection, error: psycopg.Error) -> StoreUnavailable:
        unavailable = StoreUnavailable(f"the store cannot be used: {fault_of(error).reason}")
        if connection.info.transaction_status != TransactionStatus.IDLE:
            self._outage.began(unavailable)
        return unavailable

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _was_hung_up(connection: Connection) -> bool:
    """Whether the server has said something since it was asked last: it only says good-bye then."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
