"""Delivery → row, and the table that takes it. Used by `postgresql_client.py`."""

from __future__ import annotations

import re
from dataclasses import replace

from psycopg import sql

from segmentstream_api.destinations.base import Delivery
from segmentstream_api.destinations.mapping.envelope import Envelope

_COLUMNS = (
    "key",
    "project",
    "hit_id",
    "name",
    "user_id",
    "anonymous_id",
    "sent_at",
    "received_at",
    "ip",
    "envelope",
)
_TABLE = """\
CREATE TABLE IF NOT EXISTS {table} (
    key uuid PRIMARY KEY,
    project text NOT NULL,
    hit_id text NOT NULL,
    name text,
    user_id text,
    anonymous_id text,
    sent_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    ip inet,
    envelope jsonb NOT NULL
)"""
_INDEX = "CREATE INDEX IF NOT EXISTS {index} ON {table} (received_at)"

# An escape sequence of JSON; a backslash that is escaped itself takes its successor along.
_ESCAPE = re.compile(rb"\\(?:u0000|.)")
_NUL = rb"\u0000"
_REPLACEMENT = rb"\ufffd"

Row = tuple[str | None, ...]


def row_of(delivery: Delivery) -> Row:
    """The values of the columns, as PostgreSQL reads them from text.

    PostgreSQL can keep no NUL, in `text` and in `jsonb` alike: each becomes U+FFFD, the
    replacement character. So the event gets there, and where one was can still be seen.
    """
    body = delivery.body
    if _NUL in body:
        body = _ESCAPE.sub(lambda found: _REPLACEMENT if found[0] == _NUL else found[0], body)
    envelope = Envelope(replace(delivery, body=body))
    return (
        delivery.key,
        envelope.document["project"],
        envelope.hit_id,
        envelope.name or None,
        envelope.user_id,
        envelope.anonymous_id,
        envelope.document["sentAt"],
        envelope.document["receivedAt"],
        envelope.ip,
        body.decode(),
    )


def insertion(table: str) -> sql.Composed:
    """A row whose key is there already is left out: an earlier attempt brought it."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (key) DO NOTHING").format(
        _identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
        sql.SQL(", ").join([sql.Placeholder()] * len(_COLUMNS)),
    )


def definition(table: str) -> list[sql.Composed]:
    """What makes the table and its index, unless they are there."""
    name = _identifier(table)
    index = sql.Identifier(f"{table.rpartition('.')[2]}_received_at_idx")
    return [sql.SQL(_TABLE).format(table=name), sql.SQL(_INDEX).format(table=name, index=index)]


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
