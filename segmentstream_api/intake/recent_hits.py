"""In-memory cache of hit ids stored a moment ago: bursts of duplicates need no database read.

Only events that this process stored as new are remembered, each once, so a hit id is a duplicate
here for less time than in the store, however often it is repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from segmentstream_api.event.event import Event
from segmentstream_api.store.records import Acceptance, Receipt

REMEMBERED_SECONDS = 600.0  # a burst is over by then; below the shortest dedup window, an hour
MAX_REMEMBERED = 20_000  # about 4 MB in each worker


class RecentHits:
    """`monotonic` is a clock in seconds that is never set."""

    def __init__(
        self, most: int = MAX_REMEMBERED, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._monotonic = monotonic
        self._known: dict[bytes, tuple[bytes, float]] = {}  # in the order of their coming
        self._lock = threading.Lock()

    def remember(self, event: Event) -> None:
        """Call once, when the store has accepted the event as new."""
        if event.fingerprint is None:
            return
        with self._lock:
            until = self._monotonic() + REMEMBERED_SECONDS
            self._known.pop(event.key, None)  # to the end of the order
            self._known[event.key] = (event.fingerprint, until)
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]

    def recall(self, event: Event) -> Receipt | None:
        """The receipt of an event whose key is remembered; None if the store has to be asked."""
        if event.fingerprint is None:
            return None
        fingerprint, until = self._known.get(event.key, (b"", 0.0))
        if self._monotonic() >= until:
            return None
        same = event.fingerprint == fingerprint
        return Receipt(Acceptance.DUPLICATE if same else Acceptance.CONFLICT)
