"""The statements around dead letters and pruning. Each takes a connection in its transaction.

As in `postgresql_outbox.py`: an event is locked before what belongs to it, or skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from segmentstream_api.store.postgresql.connection import Connection, rows_changed
from segmentstream_api.store.postgresql.outbox import delete_finished_events, lock_events
from segmentstream_api.store.records import REPLAYED, DeadLetter

_LOOK_AGAIN_SECONDS = 3600

_DELETE = """
DELETE FROM dead_letter USING unnest(%s::bigint[], %s::text[]) AS given (event_id, destination)
WHERE dead_letter.event_id = given.event_id AND dead_letter.destination = given.destination
RETURNING dead_letter.event_id, dead_letter.destination
"""
_REPLAY = f"""
WITH gone AS ({_DELETE})
INSERT INTO outbox (event_id, destination, attempts, due_ms, held, written_ms, reason)
SELECT event_id, destination, 0, %s, false, %s, %s FROM gone
"""
# One whose event still waits is looked at again later, lest it hide others.
_FORGET = f"""
WITH expired AS (
    SELECT key, EXISTS (SELECT FROM event WHERE id = seen.event_id) AS waits FROM seen
    WHERE expires_s <= %(now_s)s ORDER BY expires_s LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), later AS (
    UPDATE seen SET expires_s = %(now_s)s + {_LOOK_AGAIN_SECONDS}
    WHERE key = ANY(ARRAY(SELECT key FROM expired WHERE waits))
)
DELETE FROM seen WHERE key = ANY(ARRAY(SELECT key FROM expired WHERE NOT waits))
"""
_EXPIRE = """
DELETE FROM dead_letter WHERE died_ms <= %(died_before_ms)s AND event_id = ANY(ARRAY(
    SELECT id FROM event WHERE id = ANY(ARRAY(
        SELECT event_id FROM dead_letter WHERE died_ms <= %(died_before_ms)s
        ORDER BY died_ms LIMIT %(limit)s
    )) FOR UPDATE SKIP LOCKED
))
RETURNING event_id
"""
# Ids ascend with time, nearly: only the first rows can be too old, so the others are not read.
# Their events come in after the limit: before it, and until the queue has been analysed,
# PostgreSQL would look up those of all rows.
_OLDEST = """
SELECT event_id, destination FROM (
    SELECT event_id, destination FROM outbox
    WHERE destination = ANY(%(destinations)s)
        AND NOT (held AND due_ms > %(now_ms)s) AND reason IS DISTINCT FROM %(replayed)s
    ORDER BY event_id LIMIT %(limit)s
) AS oldest JOIN event ON event.id = event_id WHERE received_ms <= %(accepted_before_ms)s
"""
_GIVE_UP = """
WITH free AS (
    SELECT outbox.event_id, outbox.destination
    FROM outbox JOIN unnest(%(ids)s::bigint[], %(names)s::text[]) AS given (event_id, destination)
        USING (event_id, destination)
    WHERE NOT (held AND due_ms > %(now_ms)s) FOR UPDATE OF outbox SKIP LOCKED
), gone AS (
    DELETE FROM outbox USING free
    WHERE outbox.event_id = free.event_id AND outbox.destination = free.destination
    RETURNING outbox.*
)
INSERT INTO dead_letter (event_id, destination, attempts, died_ms, reason)
SELECT event_id, destination, attempts, %(now_ms)s,
    'too old to try again: ' || coalesce(reason, 'not sent')
FROM gone
"""


def replay_dead_letters(connection: Connection, letters: Sequence[DeadLetter], now_ms: int) -> int:
    """A letter is in the outbox or dead, never both: an interrupted replay just goes on."""
    lock_events(connection, {letter.event_id for letter in letters})
    return rows_changed(connection, _REPLAY, (*_names(letters), now_ms, now_ms, REPLAYED))


def drop_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> int:
    event_ids = {letter.event_id for letter in letters}
    lock_events(connection, event_ids)
    dropped = rows_changed(connection, _DELETE, _names(letters))
    delete_finished_events(connection, event_ids)
    return dropped


def forget(connection: Connection, now_ms: int, limit: int) -> int:
    """Deletes dedup records that have expired; how many."""
    return rows_changed(connection, _FORGET, {"now_s": now_ms // 1000, "limit": limit})


def expire_dead_letters(connection: Connection, died_before_ms: int, limit: int) -> int:
    """Deletes dead letters that have been kept long enough; how many."""
    values = {"died_before_ms": died_before_ms, "limit": limit}
    expired = connection.execute(_EXPIRE, values).fetchall()
    delete_finished_events(connection, {event_id for (event_id,) in expired})
    return len(expired)


def give_up(
    connection: Connection,
    destinations: Sequence[str],
    *,
    now_ms: int,
    accepted_before_ms: int,
    limit: int,
) -> int:
    """Old outbox rows become dead letters, but not one that is being sent or was replayed."""
    too_old = connection.execute(
        _OLDEST,
        {
            "destinations": list(destinations),
            "now_ms": now_ms,
            "replayed": REPLAYED,
            "accepted_before_ms": accepted_before_ms,
            "limit": limit,
        },
    ).fetchall()
    if not too_old:
        return 0
    ids, names = zip(*too_old, strict=True)
    given = {"ids": list(ids), "names": list(names), "now_ms": now_ms}
    return rows_changed(connection, _GIVE_UP, given)


def _names(letters: Sequence[DeadLetter]) -> tuple[list[int], list[str]]:
    return [each.event_id for each in letters], [each.destination for each in letters]
