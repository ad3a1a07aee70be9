"""The store's chores, in one thread of every worker: flush, prune, mend the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import HOUSEKEEPING_DEFECT, HOUSEKEEPING_POSTPONED
from segmentstream_api.store.base import Store

FLUSH_EVERY_SECONDS = 0.2
PRUNE_EVERY_SECONDS = 10.0
MEND_CLOCK_EVERY_SECONDS = 30.0
PRUNE_AT_ONCE = 500  # rows of a kind in one transaction: a few milliseconds for the requests


class Housekeeping:
    """`destinations` are the configured ones: what others left in the store is not given up."""

    def __init__(
        self,
        store: Store,
        destinations: Sequence[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._destinations = tuple(destinations)
        self._monotonic = monotonic
        self._next_prune_at = self._next_mend_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def step(self) -> None:
        """Does what is due by now."""
        self._store.flush()
        now = self._monotonic()
        if now >= self._next_mend_at:
            self._next_mend_at = now + MEND_CLOCK_EVERY_SECONDS
            self._store.mend_clock()
        if now >= self._next_prune_at:
            pruned = self._store.prune(self._destinations, limit=PRUNE_AT_ONCE)
            if not pruned:  # else there may be more: go on at the next step
                self._next_prune_at = now + PRUNE_EVERY_SECONDS

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_EVERY_SECONDS):
            try:
                self.step()
            except SegmentStreamError as error:
                HOUSEKEEPING_POSTPONED(reason=error)
                self._stopping.wait(1.0)
            except Exception as error:  # noqa: BLE001 - the loop must live on, whatever one round met
                HOUSEKEEPING_DEFECT(error)
                self._stopping.wait(1.0)
