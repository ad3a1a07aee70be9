"""Delivery → row, and the table that takes it. Used by `bigquery_client.py`."""

from __future__ import annotations

from typing import Any

from google.cloud import bigquery

from segmentstream_api.destinations.base import Delivery
from segmentstream_api.destinations.mapping.envelope import Envelope

# Name, type and mode of each column, and what it holds.
COLUMNS = (
    ("key", "STRING", "REQUIRED", "Idempotency key: 32 hex digits, the same at every attempt."),
    ("project", "STRING", "REQUIRED", "The project whose token the client used."),
    ("hit_id", "STRING", "REQUIRED", "`hitId`, the client's or made at acceptance."),
    ("name", "STRING", "NULLABLE", "`event.name`, if it is a text."),
    ("user_id", "STRING", "NULLABLE", "`event.user.userId`."),
    ("anonymous_id", "STRING", "NULLABLE", "`event.user.anonymousId`."),
    ("sent_at", "TIMESTAMP", "REQUIRED", "When it took place, by the client's clock."),
    ("received_at", "TIMESTAMP", "REQUIRED", "When it was accepted."),
    ("ip", "STRING", "NULLABLE", "`context.ip`, if it is an address."),
    ("envelope", "JSON", "REQUIRED", "The whole event."),
)


def row_of(delivery: Delivery) -> dict[str, Any]:
    """The JSON columns' values are texts, as the library's own `insert_rows` sends them.

    A table whose `envelope` is a STRING takes the same row.
    """
    envelope = Envelope(delivery)
    return {
        "key": delivery.key,
        "project": envelope.document["project"],
        "hit_id": envelope.hit_id,
        "name": envelope.name or None,
        "user_id": envelope.user_id,
        "anonymous_id": envelope.anonymous_id,
        "sent_at": envelope.document["sentAt"],
        "received_at": envelope.document["receivedAt"],
        "ip": envelope.ip,
        "envelope": delivery.body.decode(),
    }


def table_of(reference: bigquery.TableReference) -> bigquery.Table:
    """A day of acceptance is a partition: `received_at` is never years away, `sent_at` may be."""
    fields = [
        bigquery.SchemaField(name, kind, mode=mode, description=description)
        for name, kind, mode, description in COLUMNS
    ]
    table = bigquery.Table(reference, schema=fields)
    table.time_partitioning = bigquery.TimePartitioning(field="received_at")
    table.clustering_fields = ["project", "name"]
    return table
