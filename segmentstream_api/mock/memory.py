"""A store that also remembers what it accepted, for whoever tests a tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segmentstream_api.event.event import Event
from segmentstream_api.store.records import Acceptance, Receipt
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore

_RETRY_FOR_SECONDS = _KEEP_FOR_SECONDS = 3600.0  # nothing is sent, so nothing waits or is given up


class RememberingStore(SqliteStore):
    """The real store in a new file. `accepted` holds the envelopes in the order of their commits.

    A destination in memory would miss the events whose `integrations` turn every destination off.
    """

    def __init__(self, path: Path, *, dedup_window_seconds: float) -> None:
        super().__init__(
            SqliteFile(path, floor_bytes=0),  # a test machine's full disk is nobody's finding
            dedup_window_seconds=dedup_window_seconds,
            retry_for_seconds=_RETRY_FOR_SECONDS,
            dead_letters_for_seconds=_KEEP_FOR_SECONDS,
        )
        self.accepted: list[Mapping[str, Any]] = []

    def accept_all(
        self, events: Sequence[tuple[Event, Mapping[str, float]]], *, waited_seconds: float = 0.0
    ) -> list[Receipt]:
        receipts = super().accept_all(events, waited_seconds=waited_seconds)
        self.accepted += [
            event.document
            for (event, _), receipt in zip(events, receipts, strict=True)
            if receipt.acceptance is Acceptance.NEW
        ]
        return receipts
