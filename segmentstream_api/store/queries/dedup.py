"""Dedup records: whether a hit id came before, and with what."""

from __future__ import annotations

from collections.abc import Sequence

from segmentstream_api.event.event import Event
from segmentstream_api.store.queries.reader import Reader, marks
from segmentstream_api.store.records import Acceptance, Receipt


def find_seen(reader: Reader, keys: Sequence[bytes], now: float) -> dict[bytes, bytes]:
    """Key → fingerprint of those that are remembered, or whose event still waits."""
    return dict(
        reader.execute(
            f"SELECT key, fingerprint FROM seen WHERE key IN ({marks(len(keys))})"
            " AND (expires_s > ? OR EXISTS (SELECT 1 FROM event WHERE id = seen.event_id))",
            (*keys, now),
        )
    )


def recall(reader: Reader, event: Event, now: float) -> Receipt | None:
    """The receipt of an event seen before; None for a new one."""
    if event.fingerprint is None:
        return None
    fingerprint = find_seen(reader, [event.key], now).get(event.key)
    return None if fingerprint is None else seen_receipt(event, fingerprint)


def seen_receipt(event: Event, fingerprint: bytes) -> Receipt:
    """For an event whose hit id came before, with this fingerprint."""
    same = event.fingerprint == fingerprint
    return Receipt(Acceptance.DUPLICATE if same else Acceptance.CONFLICT)
