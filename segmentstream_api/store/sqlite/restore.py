"""Takes over what another store held. In a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from segmentstream_api.store.queries.dedup import find_seen
from segmentstream_api.store.records import UNNAMED, ExportedEvent, ExportedRecord


def restore(
    writer: sqlite3.Connection, records: Sequence[ExportedRecord], now: float, remember_until: int
) -> int:
    """See `Store.restore`."""
    known = find_seen(writer, [record.key for record in records], now)
    new = [record for record in records if record.key not in known]
    for record in new:
        event_id = None
        if record.event is not None:
            event_id = _insert(writer, record.key, record.event, int(now * 1000))
        writer.execute(
            "INSERT OR REPLACE INTO seen (key, fingerprint, event_id, expires_s)"
            " VALUES (?, ?, ?, ?)",
            (
                record.key,
                UNNAMED if record.fingerprint is None else record.fingerprint,
                event_id,
                remember_until if record.expires_s is None else record.expires_s,
            ),
        )
    return len(new)


def _insert(
    writer: sqlite3.Connection, key: bytes, event: ExportedEvent, now_ms: int
) -> int | None:
    event_id = writer.execute(
        "INSERT INTO event (key, project, hit_id, name, received_ms, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (key, event.project, event.hit_id, event.name, event.received_ms, event.body),
    ).lastrowid
    writer.executemany(
        "INSERT INTO outbox (event_id, destination, attempts, due_ms, held, written_ms, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (event_id, row.destination, row.attempts, row.due_ms, row.held, now_ms, row.reason)
            for row in event.rows
        ],
    )
    writer.executemany(
        "INSERT INTO dead_letter (event_id, destination, attempts, died_ms, reason)"
        " VALUES (?, ?, ?, ?, ?)",
        [
            (event_id, death.destination, death.attempts, death.died_ms, death.reason)
            for death in event.deaths
        ],
    )
    return event_id
