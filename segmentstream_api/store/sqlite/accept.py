"""Accepting and settling: the two hot transactions, as few statements as there can be.

Each statement lets go of Python's interpreter lock and has to win it back from every other busy
thread, while all writers wait. So one statement takes many rows, instead of one for each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from segmentstream_api.event.event import Event
from segmentstream_api.store.queries.dedup import find_seen, seen_receipt
from segmentstream_api.store.queries.reader import marks
from segmentstream_api.store.records import Acceptance, Receipt

_VALUES_AT_ONCE = 3_500  # SQLite binds up to 32,766 in one statement
_ROWS_AT_ONCE = 500


def insert_events(
    writer: sqlite3.Connection,
    events: Sequence[tuple[Event, Mapping[str, float]]],
    *,
    now: float,
    remember_until: float,
) -> list[Receipt]:
    """Dedup records, events and outbox rows; of one hit id the first, which may be of this batch.

    With each event come the leases of its outbox rows, in seconds by destination.
    """
    keys = [event.key for event, _ in events if event.fingerprint is not None]
    seen = find_seen(writer, keys, now) if keys else {}
    fresh: list[tuple[Event, Mapping[str, float]]] = []
    duplicates: dict[int, Receipt] = {}
    for position, (event, leases) in enumerate(events):
        if event.fingerprint is not None and event.key in seen:
            duplicates[position] = seen_receipt(event, seen[event.key])
            continue
        fresh.append((event, leases))
        if event.fingerprint is not None:
            seen[event.key] = event.fingerprint
    receipts = iter(_insert_fresh(writer, fresh, now, int(remember_until)))
    return [duplicates.get(position) or next(receipts) for position in range(len(events))]


def _insert_fresh(
    writer: sqlite3.Connection,
    fresh: Sequence[tuple[Event, Mapping[str, float]]],
    now: float,
    remember_until: int,
) -> list[Receipt]:
    now_ms = int(now * 1000)
    ids = iter(_insert_bodies(writer, [event for event, leases in fresh if leases]))
    receipts, outbox, seen = [], [], []
    for event, leases in fresh:
        event_id = next(ids) if leases else None
        due_ms = {name: now_ms + int(lease * 1000) for name, lease in leases.items()}
        outbox += [(event_id, name, due, due > now_ms, now_ms) for name, due in due_ms.items()]
        if event.fingerprint is not None:
            seen.append((event.key, event.fingerprint, event_id, remember_until))
        receipts.append(Receipt(Acceptance.NEW, event_id, due_ms))
    _insert(writer, "outbox (event_id, destination, due_ms, held, written_ms)", outbox)
    _insert(writer, "seen (key, fingerprint, event_id, expires_s)", seen)
    return receipts


def _insert_bodies(writer: sqlite3.Connection, events: Sequence[Event]) -> range:
    """The ids of the new rows: one statement numbers its rows without a gap."""
    rows = [
        (
            event.key,
            event.project,
            event.hit_id,
            event.name,
            int(event.received_at * 1000),
            event.body,
        )
        for event in events
    ]
    last = _insert(writer, "event (key, project, hit_id, name, received_ms, body)", rows)
    return range(last - len(rows) + 1, last + 1)


def delete_settled(writer: sqlite3.Connection, settled: Iterable[tuple[int, str]]) -> None:
    """The outbox rows go, and with the last of an event's rows the event."""
    by_destination: dict[str, list[int]] = {}
    for event_id, destination in settled:
        by_destination.setdefault(destination, []).append(event_id)
    for destination, event_ids in by_destination.items():
        for ids in _chunks(event_ids):
            writer.execute(
                f"DELETE FROM outbox WHERE event_id IN ({marks(len(ids))}) AND destination = ?",
                (*ids, destination),
            )
    delete_finished_events(writer, set().union(*by_destination.values()))


def delete_finished_events(writer: sqlite3.Connection, event_ids: Iterable[int]) -> None:
    """Deletes those of the events that neither the outbox nor a dead letter needs."""
    for ids in _chunks(event_ids):
        writer.execute(
            f"DELETE FROM event WHERE id IN ({marks(len(ids))})"
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE event_id = event.id)"
            " AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE event_id = event.id)",
            ids,
        )


def _insert(writer: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Inserts or replaces all rows, many at once; the last one's rowid."""
    last = None
    for some in _chunks(rows, _VALUES_AT_ONCE // len(rows[0]) if rows else 1):
        statement = f"INSERT OR REPLACE INTO {into} VALUES {_row_marks(len(some), len(some[0]))}"
        last = writer.execute(statement, list(chain.from_iterable(some))).lastrowid
    return last or 0


def _chunks(rows: Iterable[Any], size: int = _ROWS_AT_ONCE) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _row_marks(count: int, width: int) -> str:
    row = f"({marks(width)})"
    return row + f",{row}" * (count - 1)
