"""The statements around the outbox. Each takes a connection that is in the right transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from segmentstream_api.store.records import (
    Buried,
    DestinationState,
    OutboxRow,
    Postponed,
    Settled,
    Settlement,
    milliseconds,
    storable,
)
from segmentstream_api.store.sqlite.accept import delete_settled

_SET_BACK_MS = 5_000  # a row written this far in the future was written by a clock since set back


def settle(writer: sqlite3.Connection, settlements: Iterable[Settlement], now_ms: int) -> None:
    """Writes outcomes; an event that no destination waits for any more goes with its last row."""
    settled, postponed, buried = [], [], []
    for each in settlements:
        if isinstance(each, Settled):
            settled.append((each.event_id, each.destination))
        elif isinstance(each, Postponed):
            postponed.append(each)
        else:
            buried.append(each)
    delete_settled(writer, settled)
    _postpone(writer, postponed, now_ms)
    _bury(writer, buried, now_ms)


def _postpone(writer: sqlite3.Connection, rows: Sequence[Postponed], now_ms: int) -> None:
    """Only who still holds the lease may write: the due time that the lease wrote is its proof."""
    writer.executemany(
        "UPDATE outbox SET attempts = ?, due_ms = ?, held = ?, written_ms = ?,"
        " reason = coalesce(?, reason)"
        " WHERE event_id = ? AND destination = ? AND due_ms = ?",
        [
            (
                row.attempts,
                int(row.due_at * 1000),
                row.held,
                now_ms,
                None if row.reason is None else storable(row.reason),
                row.event_id,
                row.destination,
                row.lease_ms,
            )
            for row in rows
        ],
    )


def _bury(writer: sqlite3.Connection, rows: Sequence[Buried], now_ms: int) -> None:
    for row in rows:
        gone = writer.execute(
            "DELETE FROM outbox WHERE event_id = ? AND destination = ?",
            (row.event_id, row.destination),
        ).rowcount
        if gone:  # else somebody else has delivered or buried it meanwhile
            writer.execute(
                "INSERT INTO dead_letter (event_id, destination, attempts, died_ms, reason)"
                " VALUES (?, ?, ?, ?, ?)",
                (row.event_id, row.destination, row.attempts, now_ms, storable(row.reason)),
            )


_DUE = "destination = ? AND due_ms <= ?"
_DUE_OR_WAITING = "destination = ? AND (due_ms <= ? OR held = 0)"


def any_due(reader: sqlite3.Connection, destination: str, now_ms: int, *, probe: bool) -> bool:
    due = _DUE_OR_WAITING if probe else _DUE
    query = f"SELECT 1 FROM outbox WHERE {due} LIMIT 1"
    return reader.execute(query, (destination, now_ms)).fetchone() is not None


def lease(
    writer: sqlite3.Connection,
    destination: str,
    *,
    now_ms: int,
    lease_ms: int,
    limit: int,
    probe: bool,
) -> list[OutboxRow]:
    """Takes the rows that are due longest and makes them ours until `lease_ms`."""
    due = _DUE_OR_WAITING if probe else _DUE
    rows = writer.execute(
        "SELECT event_id, attempts, received_ms, key, body"
        " FROM outbox JOIN event ON event.id = outbox.event_id"
        f" WHERE {due} ORDER BY due_ms LIMIT ?",
        (destination, now_ms, limit),
    ).fetchall()
    writer.executemany(
        "UPDATE outbox SET due_ms = ?, held = 1, written_ms = ?"
        " WHERE event_id = ? AND destination = ?",
        [(lease_ms, now_ms, row[0], destination) for row in rows],
    )
    return [
        OutboxRow(event_id, destination, lease_ms, attempts, received_ms / 1000, key, body)
        for event_id, attempts, received_ms, key, body in rows
    ]


def make_due(writer: sqlite3.Connection, destination: str, now_ms: int) -> None:
    """Everything of the destination that waits by our own choice is due now."""
    writer.execute(
        "UPDATE outbox SET due_ms = ?, written_ms = ?"
        " WHERE destination = ? AND due_ms > ? AND held = 0",
        (now_ms, now_ms, destination, now_ms),
    )


_SET_BACK = "due_ms > ? AND written_ms > ?"


def any_from_the_future(reader: sqlite3.Connection, now_ms: int) -> bool:
    query = f"SELECT 1 FROM outbox WHERE {_SET_BACK} LIMIT 1"
    return reader.execute(query, (now_ms, now_ms + _SET_BACK_MS)).fetchone() is not None


def make_future_rows_due(writer: sqlite3.Connection, now_ms: int) -> int:
    """How many rows a clock that has since been set back had put off; they are due now."""
    return writer.execute(
        f"UPDATE outbox SET due_ms = ?, held = 0, written_ms = ? WHERE {_SET_BACK}",
        (now_ms, now_ms, now_ms, now_ms + _SET_BACK_MS),
    ).rowcount


def write_states(
    writer: sqlite3.Connection, states: Iterable[tuple[str, DestinationState]]
) -> None:
    """The last word on each destination; an error is remembered until the next one."""
    writer.executemany(
        "INSERT INTO destination_state VALUES (?, ?, ?, ?, ?) ON CONFLICT (destination)"
        " DO UPDATE SET breaker = excluded.breaker, since_ms = excluded.since_ms,"
        " last_error = coalesce(excluded.last_error, last_error),"
        " last_error_ms = coalesce(excluded.last_error_ms, last_error_ms)",
        [
            (
                name,
                state.breaker,
                milliseconds(state.since),
                None if state.last_error is None else storable(state.last_error),
                milliseconds(state.last_error_at),
            )
            for name, state in states
        ],
    )
