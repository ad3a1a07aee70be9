"""Takes over what another store held. In a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from segmentstream_api.store.postgresql.accept import Remembered, insert_bodies, remember
from segmentstream_api.store.postgresql.connection import Connection
from segmentstream_api.store.records import UNNAMED, ExportedRecord, storable

_ROW = "INSERT INTO outbox VALUES (%s, %s, %s, %s, %s, %s, %s)"
_DEATH = "INSERT INTO dead_letter VALUES (%s, %s, %s, %s, %s)"


def restore(
    connection: Connection, records: Sequence[ExportedRecord], now: float, remember_until: int
) -> int:
    """See `Store.restore`."""
    entries = {
        record.key: Remembered(
            UNNAMED if record.fingerprint is None else record.fingerprint,
            waits=record.event is not None,
            expires_s=remember_until if record.expires_s is None else record.expires_s,
        )
        for record in records
    }
    new = remember(connection, entries, now)
    events = [
        (new[record.key], record.key, record.event)
        for record in records
        if record.event is not None and record.key in new
    ]
    insert_bodies(
        connection,
        [
            (
                event_id,
                key,
                storable(event.project),
                storable(event.hit_id),
                storable(event.name),
                event.received_ms,
                event.body,
            )
            for event_id, key, event in events
        ],
    )
    now_ms = int(now * 1000)
    with connection.cursor() as cursor:
        cursor.executemany(
            _ROW,
            [
                (event_id, row.destination, row.attempts, row.due_ms, row.held, now_ms, row.reason)
                for event_id, _, event in events
                for row in event.rows
            ],
        )
        cursor.executemany(
            _DEATH,
            [
                (event_id, death.destination, death.attempts, death.died_ms, death.reason)
                for event_id, _, event in events
                for death in event.deaths
            ],
        )
    return len(new)
