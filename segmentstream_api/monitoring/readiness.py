"""Whether events can be taken now: what `GET /ready` says, and the metrics with it.

It is about the store alone. Events that wait, and destinations that are down, are no reason to
turn events away: they are safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from segmentstream_api.errors import StoreUnavailable, StoreUnusable
from segmentstream_api.logs.entries import STORE_UNAVAILABLE
from segmentstream_api.monitoring.cached_answer import CachedAnswer
from segmentstream_api.store.base import Store

_SLOW = "store_slow"
FINDINGS: Mapping[str, str] = {
    "disk_floor": "The disk of the store has less space left than its floor.",
    "store_unavailable": "The store cannot be written now; the log says why.",
    "store_unusable": "The store must not be used until somebody has mended it; the log says why.",
    _SLOW: "The store does not answer within a second: it is locked, or its disk hangs.",
}
"""By their ids, which stay the same. The sentences hold nothing of the configuration."""

# A probe writes, so they are few, however often and from wherever one is asked; and who asks does
# so every second or two, with a timeout of some seconds.
_FRESH_SECONDS = 2.0
_PATIENCE_SECONDS = 1.0


class Readiness:
    """`monotonic` is a clock in seconds that is never set."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._writable = CachedAnswer(
            self._probe,
            fresh_seconds=_FRESH_SECONDS,
            patience_seconds=_PATIENCE_SECONDS,
            monotonic=monotonic,
        )

    def findings(self) -> tuple[str, ...]:
        """The ids of what stands in the way, or nothing; within a second."""
        try:
            self._writable.get()
        except TimeoutError:
            STORE_UNAVAILABLE(reason="it does not answer within a second")
            return (_SLOW,)
        except (StoreUnavailable, StoreUnusable) as error:
            return (error.finding,)
        return ()

    def _probe(self) -> None:
        try:
            self._store.writable()
        except (StoreUnavailable, StoreUnusable) as error:
            STORE_UNAVAILABLE(reason=error)
            raise
