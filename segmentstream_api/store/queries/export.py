"""Everything that a store holds, page by page, for another store to go on with."""

from __future__ import annotations

from collections import defaultdict

from segmentstream_api.store.queries.reader import Reader, marks
from segmentstream_api.store.records import (
    LAST,
    ExportedDeadLetter,
    ExportedEvent,
    ExportedRecord,
    ExportedRow,
    Position,
)

_ONLY_REMEMBERED = (
    " FROM seen WHERE expires_s > ? AND NOT EXISTS (SELECT 1 FROM event WHERE id = seen.event_id)"
)


def export(reader: Reader, after: Position, limit: int, now: float) -> list[ExportedRecord]:
    event_id, key = after
    records = [] if event_id == LAST else _events(reader, event_id, limit)
    if len(records) < limit:
        records += _remembered(reader, key, limit - len(records), now)
    return records


def count_export(reader: Reader, now: float) -> int:
    ((events,),) = reader.execute("SELECT COUNT(*) FROM event")
    ((remembered,),) = reader.execute(f"SELECT COUNT(*) {_ONLY_REMEMBERED}", (now,))
    return int(events) + int(remembered)


def _events(reader: Reader, after_id: int, limit: int) -> list[ExportedRecord]:
    events = list(
        reader.execute(
            "SELECT id, key, project, hit_id, name, received_ms, body FROM event WHERE id > ?"
            " ORDER BY id LIMIT ?",
            (after_id, limit),
        )
    )
    if not events:
        return []
    span = (events[0][0], events[-1][0])
    rows, deaths = defaultdict(list), defaultdict(list)
    for event_id, destination, attempts, due_ms, held, reason in reader.execute(
        "SELECT event_id, destination, attempts, due_ms, held, reason FROM outbox"
        " WHERE event_id BETWEEN ? AND ? ORDER BY event_id, destination",
        span,
    ):
        rows[event_id].append(ExportedRow(destination, attempts, due_ms, bool(held), reason))
    for event_id, *death in reader.execute(
        "SELECT event_id, destination, attempts, died_ms, reason FROM dead_letter"
        " WHERE event_id BETWEEN ? AND ? ORDER BY event_id, destination",
        span,
    ):
        deaths[event_id].append(ExportedDeadLetter(*death))
    remembered = {
        key: (fingerprint, expires_s)
        for key, fingerprint, expires_s in reader.execute(
            f"SELECT key, fingerprint, expires_s FROM seen WHERE key IN ({marks(len(events))})",
            [key for _, key, *_ in events],
        )
    }
    return [
        ExportedRecord(
            (event_id, b""),
            key,
            *remembered.get(key, (None, None)),
            ExportedEvent(
                project, hit_id, name, received_ms, body, rows[event_id], deaths[event_id]
            ),
        )
        for event_id, key, project, hit_id, name, received_ms, body in events
    ]


def _remembered(reader: Reader, after_key: bytes, limit: int, now: float) -> list[ExportedRecord]:
    return [
        ExportedRecord((LAST, key), key, fingerprint, expires_s, None)
        for key, fingerprint, expires_s in reader.execute(
            f"SELECT key, fingerprint, expires_s {_ONLY_REMEMBERED} AND key > ?"
            " ORDER BY key LIMIT ?",
            (now, after_key, limit),
        )
    ]
