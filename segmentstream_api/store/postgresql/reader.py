"""A connection to PostgreSQL as the queries want it that stand for all databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from segmentstream_api.store.postgresql.connection import Connection
from segmentstream_api.store.records import storable


class PostgresqlReader:
    """See `Reader`: values are marked by `?` there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Iterable[Any]:
        kept = [storable(each) if isinstance(each, str) else each for each in values]
        return self._connection.execute(statement.replace("?", "%s").encode(), kept)
