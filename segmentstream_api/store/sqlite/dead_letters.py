"""The statements around dead letters and pruning. Each takes a connection in its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from segmentstream_api.store.records import REPLAYED, DeadLetter
from segmentstream_api.store.sqlite.accept import delete_finished_events


def replay_dead_letters(
    writer: sqlite3.Connection, letters: Sequence[DeadLetter], now_ms: int
) -> int:
    """A letter is in the outbox or dead, never both: an interrupted replay just goes on."""
    replayed = 0
    for letter in letters:
        if _delete(writer, letter):
            writer.execute(
                "INSERT INTO outbox (event_id, destination, attempts, due_ms, held, written_ms,"
                " reason) VALUES (?, ?, 0, ?, 0, ?, ?)",
                (letter.event_id, letter.destination, now_ms, now_ms, REPLAYED),
            )
            replayed += 1
    return replayed


def drop_dead_letters(writer: sqlite3.Connection, letters: Sequence[DeadLetter]) -> int:
    dropped = sum(_delete(writer, letter) for letter in letters)
    delete_finished_events(writer, {letter.event_id for letter in letters})
    return dropped


_LOOK_AGAIN_SECONDS = 3600


def prune(
    writer: sqlite3.Connection,
    destinations: Sequence[str],
    *,
    now_ms: int,
    accepted_before_ms: int,
    died_before_ms: int,
    limit: int,
) -> int:
    """Removes up to `limit` of each kind whose time is over; how many went."""
    forgotten = _forget(writer, now_ms // 1000, limit)
    expired = writer.execute(
        "DELETE FROM dead_letter WHERE (event_id, destination) IN"
        " (SELECT event_id, destination FROM dead_letter WHERE died_ms <= ? LIMIT ?)"
        " RETURNING event_id",
        (died_before_ms, limit),
    ).fetchall()
    delete_finished_events(writer, {event_id for (event_id,) in expired})
    given_up = _give_up(writer, destinations, now_ms, accepted_before_ms, limit)
    writer.execute(f"PRAGMA incremental_vacuum({limit})")
    return forgotten + len(expired) + given_up


def _forget(writer: sqlite3.Connection, now_s: int, limit: int) -> int:
    """Deletes expired dedup records; one whose event still waits is looked at again later."""
    expired = writer.execute(
        "SELECT key, EXISTS (SELECT 1 FROM event WHERE id = seen.event_id) FROM seen"
        " WHERE expires_s <= ? ORDER BY expires_s LIMIT ?",
        (now_s, limit),
    ).fetchall()
    over = [(key,) for key, waits in expired if not waits]
    writer.executemany("DELETE FROM seen WHERE key = ?", over)
    writer.executemany(
        "UPDATE seen SET expires_s = ? WHERE key = ?",
        [(now_s + _LOOK_AGAIN_SECONDS, key) for key, waits in expired if waits],
    )
    return len(over)


def _give_up(
    writer: sqlite3.Connection,
    destinations: Sequence[str],
    now_ms: int,
    accepted_before_ms: int,
    limit: int,
) -> int:
    """Old outbox rows become dead letters, but not one that is being sent or was replayed.

    Ids ascend with time, so only the first rows can be too old: no need to read the others. The
    plus keeps SQLite from the index on destinations, by which it would read and sort them all.
    """
    marks = ", ".join("?" * len(destinations))
    oldest = writer.execute(
        "SELECT event_id, destination, attempts, reason, received_ms FROM outbox"
        " JOIN event ON event.id = outbox.event_id"
        f" WHERE +destination IN ({marks})"
        " AND NOT (held AND due_ms > ?) AND reason IS NOT ? ORDER BY event_id LIMIT ?",
        (*destinations, now_ms, REPLAYED, limit),
    ).fetchall()
    too_old = [row[:4] for row in oldest if row[4] <= accepted_before_ms]
    for event_id, destination, attempts, reason in too_old:
        writer.execute(
            "DELETE FROM outbox WHERE event_id = ? AND destination = ?", (event_id, destination)
        )
        writer.execute(
            "INSERT INTO dead_letter (event_id, destination, attempts, died_ms, reason)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                event_id,
                destination,
                attempts,
                now_ms,
                f"too old to try again: {reason or 'not sent'}",
            ),
        )
    return len(too_old)


def _delete(writer: sqlite3.Connection, letter: DeadLetter) -> bool:
    statement = "DELETE FROM dead_letter WHERE event_id = ? AND destination = ?"
    return writer.execute(statement, (letter.event_id, letter.destination)).rowcount == 1
