"""The table that events go into, and its rows. Called by `clickhouse.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from segmentstream_api.destinations.base import Delivery, Rejected
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.destinations.transport.json import encoded

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "hit_id": "String",
        "project": "LowCardinality(String)",
        "name": "LowCardinality(String)",
        "user_id": "String",
        "anonymous_id": "String",
        "sent_at": "DateTime64(3, 'UTC')",
        "received_at": "DateTime64(3, 'UTC')",
        "envelope": "String",
    }
)

YEARS = range(1900, 2300)
"""Those of DateTime64. Source: https://clickhouse.com/docs/sql-reference/data-types/datetime64."""


def insert_statement(table: str) -> str:
    return f"INSERT INTO {table} ({', '.join(COLUMNS)}) FORMAT JSONEachRow"


def create_statement(table: str) -> str:
    """Makes the table unless it is there.

    The rows of one event are equal in what the table is sorted by, and so become one when parts
    are merged. It is parted by when events came in, which clients cannot choose.
    """
    columns = ",\n".join(f"    {name} {type_}" for name, type_ in COLUMNS.items())
    return f"""CREATE TABLE IF NOT EXISTS {table}
(
{columns}
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (project, sent_at, hit_id)
SETTINGS non_replicated_deduplication_window = 1000"""


def row(delivery: Delivery) -> bytes | Rejected:
    """The event as a line of JSON, or which rule of ClickHouse's it breaks."""
    envelope = Envelope(delivery)
    if envelope.sent_at.year not in YEARS:
        return Rejected(f"sentAt: ClickHouse takes the years {YEARS[0]} to {YEARS[-1]}")
    document = envelope.document
    values = (
        envelope.hit_id,
        document["project"],
        envelope.name,
        envelope.user_id or "",
        envelope.anonymous_id or "",
        document["sentAt"],
        document["receivedAt"],
        delivery.body.decode(),
    )
    return encoded(dict(zip(COLUMNS, values, strict=True)))
