"""Dead letters, found and counted."""

from __future__ import annotations

from segmentstream_api.store.queries.reader import Reader
from segmentstream_api.store.records import DeadLetter, DeadLetterFilter

_FROM = " FROM dead_letter JOIN event ON event.id = dead_letter.event_id"


def find_dead_letters(reader: Reader, wanted: DeadLetterFilter, limit: int) -> list[DeadLetter]:
    where, values = _where(wanted)
    return [
        DeadLetter(
            event_id,
            destination,
            project,
            hit_id,
            name,
            received_ms / 1000,
            died_ms / 1000,
            attempts,
            reason,
            body,
        )
        for (
            event_id,
            destination,
            project,
            hit_id,
            name,
            received_ms,
            died_ms,
            attempts,
            reason,
            body,
        ) in reader.execute(
            "SELECT event_id, destination, project, hit_id, name, received_ms, died_ms, attempts,"
            f" reason, body {_FROM} {where} ORDER BY event_id, destination LIMIT ?",
            (*values, limit),
        )
    ]


def count_dead_letters(reader: Reader, wanted: DeadLetterFilter) -> int:
    where, values = _where(wanted)
    ((count,),) = reader.execute(f"SELECT COUNT(*) {_FROM} {where}", values)
    return int(count)


def _where(wanted: DeadLetterFilter) -> tuple[str, list[object]]:
    conditions = {
        "destination = ?": wanted.destination,
        "name = ?": wanted.name,
        "hit_id = ?": wanted.hit_id,
        "died_ms >= ?": None if wanted.died_after is None else int(wanted.died_after * 1000),
        "died_ms < ?": None if wanted.died_before is None else int(wanted.died_before * 1000),
    }
    used = {text: value for text, value in conditions.items() if value is not None}
    return ("WHERE " + " AND ".join(used) if used else ""), list(used.values())
