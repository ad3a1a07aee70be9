"""The statements around the outbox. Each takes a connection that is in the right transaction.

Who changes what belongs to an event locks the event first, in the order of the ids; who only takes
what is free skips what is locked, and waits for nobody while it holds something. So no two wait
for each other, and of two that take away an event's last rows the second sees that it is the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segmentstream_api.store.postgresql.connection import Connection, rows_changed
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

_SETTLE = """
DELETE FROM outbox USING unnest(%s::bigint[], %s::text[]) AS given (event_id, destination)
WHERE outbox.event_id = given.event_id AND outbox.destination = given.destination
"""
_FINISH = """
DELETE FROM event WHERE id = ANY(%s::bigint[])
    AND NOT EXISTS (SELECT FROM outbox WHERE event_id = event.id)
    AND NOT EXISTS (SELECT FROM dead_letter WHERE event_id = event.id)
"""
# Only who still holds the lease may write: the due time that the lease wrote is its proof.
_POSTPONE = """
UPDATE outbox SET attempts = given.attempts, due_ms = given.due_ms, held = given.held,
    written_ms = %(now_ms)s, reason = coalesce(given.reason, outbox.reason)
FROM unnest(%(ids)s::bigint[], %(destinations)s::text[], %(leases)s::bigint[],
    %(attempts)s::integer[], %(due)s::bigint[], %(held)s::boolean[], %(reasons)s::text[])
    AS given (event_id, destination, lease_ms, attempts, due_ms, held, reason)
WHERE outbox.event_id = given.event_id AND outbox.destination = given.destination
    AND outbox.due_ms = given.lease_ms
"""
# What somebody else has delivered or buried meanwhile is not there any more.
_BURY = """
WITH gone AS (
    DELETE FROM outbox USING unnest(%s::bigint[], %s::text[], %s::integer[], %s::text[])
        AS given (event_id, destination, attempts, reason)
    WHERE outbox.event_id = given.event_id AND outbox.destination = given.destination
    RETURNING given.*
)
INSERT INTO dead_letter (event_id, destination, attempts, reason, died_ms)
SELECT event_id, destination, attempts, reason, %s FROM gone
"""
_CLAIM = """
WITH due AS (
    SELECT event_id, due_ms FROM outbox
    WHERE destination = %(destination)s AND (due_ms <= %(now_ms)s {or_waiting})
    ORDER BY due_ms, event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE outbox SET due_ms = %(lease_ms)s, held = true, written_ms = %(now_ms)s
    FROM due WHERE outbox.event_id = due.event_id AND destination = %(destination)s
    RETURNING outbox.event_id, attempts, due.due_ms
)
SELECT event_id, attempts, received_ms, key, body
FROM leased JOIN event ON event.id = leased.event_id ORDER BY leased.due_ms, event_id
"""
_MAKE_DUE = """
UPDATE outbox SET due_ms = %(now_ms)s, held = false, written_ms = %(now_ms)s
WHERE (event_id, destination) IN (
    SELECT event_id, destination FROM outbox WHERE {which} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""
_WAITING = "destination = %(destination)s AND due_ms > %(now_ms)s AND NOT held"
# A row written this far in the future was written by a clock that has since been set back.
_SET_BACK = "due_ms > %(now_ms)s AND written_ms > %(now_ms)s + 5000"
# Looking for such rows reads the whole outbox, so of all workers one does it every now and then.
_TURN_TO_MEND = """
UPDATE store SET mended_ms = %(now_ms)s WHERE ctid IN (
    SELECT ctid FROM store WHERE abs(%(now_ms)s - mended_ms) >= 25000 FOR UPDATE SKIP LOCKED
)
"""
_NOTE = """
INSERT INTO destination_state AS known VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (destination) DO UPDATE SET
    breaker = excluded.breaker, since_ms = excluded.since_ms,
    last_error = coalesce(excluded.last_error, known.last_error),
    last_error_ms = coalesce(excluded.last_error_ms, known.last_error_ms)
"""


def settle(connection: Connection, settlements: Sequence[Settlement], now_ms: int) -> None:
    """Writes outcomes; an event that no destination waits for any more goes with its last row."""
    if not settlements:
        return
    lock_events(connection, {each.event_id for each in settlements})
    settled = [each for each in settlements if isinstance(each, Settled)]
    if settled:
        ids = [each.event_id for each in settled]
        connection.execute(_SETTLE, (ids, [each.destination for each in settled]))
    _postpone(connection, [each for each in settlements if isinstance(each, Postponed)], now_ms)
    _bury(connection, [each for each in settlements if isinstance(each, Buried)], now_ms)
    delete_finished_events(connection, {each.event_id for each in settled})


def _postpone(connection: Connection, rows: Sequence[Postponed], now_ms: int) -> None:
    if rows:
        connection.execute(
            _POSTPONE,
            {
                "ids": [row.event_id for row in rows],
                "destinations": [row.destination for row in rows],
                "leases": [row.lease_ms for row in rows],
                "attempts": [row.attempts for row in rows],
                "due": [int(row.due_at * 1000) for row in rows],
                "held": [row.held for row in rows],
                "reasons": [None if row.reason is None else storable(row.reason) for row in rows],
                "now_ms": now_ms,
            },
        )


def _bury(connection: Connection, rows: Sequence[Buried], now_ms: int) -> None:
    if rows:
        first = {(row.event_id, row.destination): row for row in reversed(rows)}.values()
        connection.execute(
            _BURY,
            (
                [row.event_id for row in first],
                [row.destination for row in first],
                [row.attempts for row in first],
                [storable(row.reason) for row in first],
                now_ms,
            ),
        )


def lock_events(connection: Connection, event_ids: Iterable[int]) -> None:
    """Until the end of the transaction nobody else settles, buries, replays or drops theirs."""
    connection.execute(
        "SELECT FROM event WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE",
        (sorted(event_ids),),
    )


def delete_finished_events(connection: Connection, event_ids: Iterable[int]) -> None:
    """Deletes those of the events, which are locked, that nothing needs any more."""
    if ids := sorted(event_ids):
        connection.execute(_FINISH, (ids,))


def lease(
    connection: Connection,
    destination: str,
    *,
    now_ms: int,
    lease_ms: int,
    limit: int,
    probe: bool,
) -> list[OutboxRow]:
    """Takes the rows that are due longest and makes them ours until `lease_ms`."""
    rows = connection.execute(
        _CLAIM.format(or_waiting="OR NOT held" if probe else ""),
        {"destination": destination, "now_ms": now_ms, "lease_ms": lease_ms, "limit": limit},
    )
    return [
        OutboxRow(event_id, destination, lease_ms, attempts, received_ms / 1000, key, body)
        for event_id, attempts, received_ms, key, body in rows
    ]


def make_due(connection: Connection, destination: str, now_ms: int, limit: int) -> int:
    """Makes due what of the destination waits by our own choice; how many rows."""
    values = {"destination": destination, "now_ms": now_ms, "limit": limit}
    return rows_changed(connection, _MAKE_DUE.format(which=_WAITING), values)


def take_turn_to_mend(connection: Connection, now_ms: int) -> bool:
    """False if somebody else has looked half a minute ago, or is doing so."""
    return rows_changed(connection, _TURN_TO_MEND, {"now_ms": now_ms}) == 1


def make_future_rows_due(connection: Connection, now_ms: int, limit: int) -> int:
    """Makes due what a clock has put off that has since been set back; how many rows."""
    values = {"now_ms": now_ms, "limit": limit}
    return rows_changed(connection, _MAKE_DUE.format(which=_SET_BACK), values)


def write_states(connection: Connection, states: Iterable[tuple[str, DestinationState]]) -> None:
    """The last word on each destination; an error is remembered until the next one."""
    for name, state in sorted(states, key=lambda each: each[0]):  # all machines in one order
        connection.execute(
            _NOTE,
            (
                name,
                state.breaker,
                milliseconds(state.since),
                None if state.last_error is None else storable(state.last_error),
                milliseconds(state.last_error_at),
            ),
        )
