"""Writes each event as a row of a PostgreSQL table. Needs the extra `postgresql` (psycopg 3).

Sources: https://www.psycopg.org/psycopg3/docs/ and PostgreSQL's Appendix A, "Error Codes". What
talks to the server is in `postgresql_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from segmentstream_api.destinations.optional import Client, ExtraDestination
from segmentstream_api.postgresql.connection_string import MISSING, problem_with

# 47 and `_received_at_idx` are the 63 bytes that PostgreSQL keeps of a name.
_NAME = "[A-Za-z_][A-Za-z0-9_]{0,46}"


class PostgreSQL(ExtraDestination):
    """`Delivered` means that the row is committed, or was so at an earlier attempt."""

    type_name = "postgresql"
    display_name = "PostgreSQL"
    extra = "postgresql"
    library = "psycopg"
    maps_events = False
    batch_size = 500
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "dsn": {
                "description": "The connection string, a URI or `key=value` pairs, such as "
                "postgresql://writer:${PGPASSWORD}@db.example.com/shop?sslmode=verify-full.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "table": {
                "description": "The table, alone or after its schema and a dot, in the letter "
                "case that it has in the database.",
                "type": "string",
                "pattern": f"^({_NAME}\\.)?{_NAME}$",
                "default": "events",
            },
            "timeout_seconds": {
                "description": "How long a batch of events may take, from connecting to the end.",
                "type": "number",
                "minimum": 2,  # libpq's least time for connecting
                "maximum": 60,
                "default": 10,
            },
        },
        "required": ["dsn"],
        "additionalProperties": False,
    }

    def make_client(self) -> Client:
        from segmentstream_api.destinations.postgresql.client import (  # noqa: PLC0415 - needs the extra
            PostgreSQLClient,
        )

        return PostgreSQLClient(self.settings)

    def check(self) -> list[str]:
        missing = super().check()
        problem = None if missing else problem_with(self.settings["dsn"])
        if problem is None:
            return missing
        return [problem if problem == MISSING else f"dsn: {problem}"]
