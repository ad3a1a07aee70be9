"""The connections of one process to a PostgreSQL server. Made by `postgresql.py`.

Each transaction has a timer that hangs up. `statement_timeout` comes first, in the transaction
alone: then the server gives up too, and nothing is left behind on a connection that a pooler
(PgBouncer) shares. For its sake there are no prepared statements either.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from segmentstream_api.destinations.base import Delivered, Delivery, Outcome, Rejected, Retry
from segmentstream_api.destinations.postgresql.outcomes import outcome_of
from segmentstream_api.destinations.postgresql.row import Row, definition, insertion, row_of
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.postgresql.connections import abort_connection, silence_library_logs

_MIN_CONNECT_SECONDS = 2  # libpq's own
_SERVER_SHARE = 0.9  # of the time: the server gives up before its connection is cut

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgreSQLClient:
    """Makes connections when they are needed and keeps them: as many as threads send at once."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        silence_library_logs()
        self._dsn: str = settings["dsn"]
        self._table: str = settings["table"]
        self._timeout_seconds = float(settings["timeout_seconds"])
        self._insertion = insertion(self._table)
        self._idle: deque[Connection] = deque()

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        deadline = time.monotonic() + self._timeout_seconds
        return self._insert([row_of(each) for each in deliveries], deadline)

    def setup(self) -> str:
        """Makes the table and its index."""
        deadline = time.monotonic() + self._timeout_seconds

        def define(connection: Connection) -> None:
            for statement in definition(self._table):
                connection.execute(statement)

        try:
            self._transact(define, deadline)
        except psycopg.Error as error:
            raise DestinationUnusable(self._outcome_of(error, deadline).reason) from None
        return f"the table {self._table} is there"

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _insert(self, rows: Sequence[Row], deadline: float) -> list[Outcome]:
        """In one transaction. If a row is refused, in two, so that its neighbours get there."""

        def insert(connection: Connection) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(self._insertion, rows)

        try:
            self._transact(insert, deadline)
        except psycopg.Error as error:
            outcome = self._outcome_of(error, deadline)
        else:
            return [Delivered()] * len(rows)
        if isinstance(outcome, Rejected) and len(rows) > 1:
            middle = len(rows) // 2
            return [
                *self._insert(rows[:middle], deadline),
                *self._insert(rows[middle:], deadline),
            ]
        return [outcome] * len(rows)

    def _outcome_of(self, error: psycopg.Error, deadline: float) -> Retry | Rejected:
        if time.monotonic() >= deadline:
            return Retry(f"not done within {self._timeout_seconds:g} s", unanswered=True)
        return outcome_of(error)

    def _transact(self, work: Callable[[Connection], None], deadline: float) -> None:
        """Raises psycopg.Error.

        A connection that broke while idle is replaced. That does no harm: a row that was
        committed after all is recognized by its key.
        """
        while True:
            connection, was_idle = self._connection(deadline)
            try:
                with (
                    _cut_at(deadline, connection) as left_seconds,
                    connection.pipeline(),  # one round trip for everything
                    connection.transaction(),
                ):
                    timeout_ms = max(1, int(left_seconds * _SERVER_SHARE * 1000))
                    connection.execute(f"SET LOCAL statement_timeout = {timeout_ms}")
                    work(connection)
            except psycopg.Error:
                if not was_idle or not connection.broken or time.monotonic() >= deadline:
                    raise
            else:
                return
            finally:
                self._keep(connection)

    def _connection(self, deadline: float) -> tuple[Connection, bool]:
        """One to use alone, and whether it was idle before."""
        if time.monotonic() >= deadline:
            raise psycopg.OperationalError("no time is left")
        with suppress(IndexError):
            return self._idle.pop(), True
        hosts = str(conninfo_to_dict(self._dsn).get("host") or "").count(",") + 1
        seconds = max(_MIN_CONNECT_SECONDS, int((deadline - time.monotonic()) / hosts))
        connection: Connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=seconds,
            application_name="segmentstream-api",
            client_encoding="UTF8",  # what the database cannot hold, the server finds out
            prepare_threshold=None,
        )
        return connection, False

    def _keep(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            connection.close()


@contextmanager
def _cut_at(deadline: float, connection: Connection) -> Iterator[float]:
    """Gives the seconds that are left; after them the connection breaks, whatever it is doing."""
    left_seconds = max(0.0, deadline - time.monotonic())
    timer = threading.Timer(left_seconds, abort_connection, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield left_seconds
    finally:
        timer.cancel()
