"""Accepting: two round trips and the commit, however many events there are.

Many machines may do this at once. Who inserts a key that another transaction has inserted waits for
its end; so keys are inserted in their order, lest two wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from segmentstream_api.event.event import Event
from segmentstream_api.store.postgresql.connection import Connection
from segmentstream_api.store.queries.dedup import seen_receipt
from segmentstream_api.store.records import Acceptance, Receipt, storable

# An expired record gives way, unless its event still waits. A row that gives no way is locked all
# the same, so nobody can remove it before its fingerprint was read.
_REMEMBER = """
INSERT INTO seen AS known (key, fingerprint, event_id, expires_s)
SELECT key, fingerprint, event_id, expires_s
FROM (
    SELECT key, fingerprint, CASE WHEN waits THEN nextval('event_id') END AS event_id, expires_s
    FROM unnest(%b::bytea[], %b::bytea[], %s::boolean[], %s::bigint[])
        AS given (key, fingerprint, waits, expires_s)
) AS numbered
ORDER BY key
ON CONFLICT (key) DO UPDATE SET
    fingerprint = excluded.fingerprint,
    event_id = excluded.event_id,
    expires_s = excluded.expires_s
WHERE known.expires_s <= %s
    AND NOT EXISTS (SELECT FROM event WHERE id = known.event_id)
RETURNING key, event_id
"""
_NUMBER = "SELECT nextval('event_id') FROM generate_series(1, %s)"
_EVENTS = """
INSERT INTO event (id, key, project, hit_id, name, received_ms, body)
SELECT * FROM unnest(%s::bigint[], %b::bytea[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %b::bytea[])
"""
_OUTBOX = """
INSERT INTO outbox (event_id, destination, attempts, due_ms, held, written_ms, reason)
SELECT event_id, destination, 0, due_ms, due_ms > %(now_ms)s, %(now_ms)s, NULL
FROM unnest(%(ids)s::bigint[], %(destinations)s::text[], %(due)s::bigint[])
    AS given (event_id, destination, due_ms)
"""


class Remembered(NamedTuple):
    """A dedup record to be made; `waits` if there is an event to go with it."""

    fingerprint: bytes
    waits: bool
    expires_s: int


def insert_events(
    connection: Connection,
    events: Sequence[tuple[Event, Mapping[str, float]]],
    *,
    now: float,
    remember_until: float,
) -> list[Receipt]:
    """Dedup records, events and outbox rows; of one hit id the first, which may be of this batch.

    With each event come the leases of its outbox rows, in seconds by destination.
    """
    now_ms = int(now * 1000)
    new, unnamed_ids, seen = _remember(connection, events, now, int(remember_until))
    receipts, waiting, outbox = [], [], []
    for event, leases in events:
        if event.fingerprint is None:
            event_id = next(unnamed_ids) if leases else None
        elif event.key in new:
            event_id = new.pop(event.key)
            seen[event.key] = event.fingerprint
        else:
            receipts.append(seen_receipt(event, seen[event.key]))
            continue
        due_ms = {name: now_ms + int(lease * 1000) for name, lease in leases.items()}
        if event_id is not None:
            waiting.append(
                (
                    event_id,
                    event.key,
                    storable(event.project),
                    storable(event.hit_id),
                    storable(event.name),
                    int(event.received_at * 1000),
                    event.body,
                )
            )
            outbox += [(event_id, name, due) for name, due in due_ms.items()]
        receipts.append(Receipt(Acceptance.NEW, event_id, due_ms))
    insert_bodies(connection, waiting)
    if outbox:
        ids, destinations, due_times = zip(*outbox, strict=True)
        given = {"ids": list(ids), "destinations": list(destinations), "due": list(due_times)}
        connection.execute(_OUTBOX, {**given, "now_ms": now_ms})
    return receipts


def _remember(
    connection: Connection,
    events: Sequence[tuple[Event, Mapping[str, float]]],
    now: float,
    remember_until: int,
) -> tuple[dict[bytes, int | None], Iterator[int], dict[bytes, bytes]]:
    """Key → event id of those that are new, ids for those without hit id, key → fingerprint."""
    first: dict[bytes, Remembered] = {}
    unnamed = 0
    for event, leases in events:
        if event.fingerprint is not None:
            entry = Remembered(event.fingerprint, waits=bool(leases), expires_s=remember_until)
            first.setdefault(event.key, entry)
        elif leases:
            unnamed += 1
    numbered = connection.execute(_NUMBER, (unnamed,)) if unnamed else ()
    new = remember(connection, first, now)
    known = [key for key in first if key not in new]
    seen: dict[bytes, bytes] = (
        dict(connection.execute("SELECT key, fingerprint FROM seen WHERE key = ANY(%b)", (known,)))
        if known
        else {}
    )
    return new, (event_id for (event_id,) in numbered), seen


def remember(
    connection: Connection, entries: Mapping[bytes, Remembered], now: float
) -> dict[bytes, int | None]:
    """Makes the dedup records that are new; their keys, with an event id for those that wait."""
    if not entries:
        return {}
    columns = (
        list(entries),
        [entry.fingerprint for entry in entries.values()],
        [entry.waits for entry in entries.values()],
        [entry.expires_s for entry in entries.values()],
    )
    return dict(connection.execute(_REMEMBER, (*columns, now)))


def insert_bodies(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """The events themselves: id, key, project, hit id, name, received_ms, body."""
    if rows:
        connection.execute(_EVENTS, [list(column) for column in zip(*rows, strict=True)])
