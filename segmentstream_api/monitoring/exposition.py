"""The page that Prometheus reads: what was counted, and what can be read off the store."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import STORE_UNREADABLE
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.metrics.files import MetricsFiles
from segmentstream_api.monitoring.cached_answer import CachedAnswer
from segmentstream_api.monitoring.readiness import FINDINGS, Readiness
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import DestinationStats
from segmentstream_api.version import package_version

# Counting a long queue reads all of it, so it is done seldom; and a page without it is better than
# one that Prometheus has given up waiting for (10 s).
_FRESH_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0


class Exposition:
    """`folder` is where the processes count together; None if this one counts for itself."""

    def __init__(
        self,
        store: Store,
        destinations: Sequence[str],
        readiness: Readiness,
        *,
        folder: Path | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(REGISTRY if folder is None else MetricsFiles(folder))
        self.registry.register(StoreGauges(store, destinations, readiness, clock))

    def page(self, accept: str | None) -> tuple[bytes, str]:
        """The page and its media type: Prometheus text, or OpenMetrics for who accepts it."""
        encode, media_type = choose_encoder(accept or "")
        return encode(self.registry), media_type


class StoreGauges(Collector):
    def __init__(
        self,
        store: Store,
        destinations: Sequence[str],
        readiness: Readiness,
        clock: Callable[[], float],
    ) -> None:
        self._store_kind = store.kind
        self._stats = CachedAnswer(
            store.stats, fresh_seconds=_FRESH_SECONDS, patience_seconds=_PATIENCE_SECONDS
        )
        self._destinations = destinations
        self._readiness = readiness
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        build = metrics.BUILD_INFO.family()
        build.add_metric([package_version(), platform.python_version(), self._store_kind], 1)
        yield build
        found = self._readiness.findings()
        not_ready = metrics.NOT_READY.family()
        for finding in FINDINGS:
            not_ready.add_metric([finding], finding in found)
        yield not_ready
        stats = self._read()
        up = metrics.STORE_UP.family()
        up.add_metric([], stats is not None)
        yield up
        if stats is not None:
            yield from self._of_destinations(stats)

    def _read(self) -> Mapping[str, DestinationStats] | None:
        try:
            return self._stats.get()
        except TimeoutError:
            STORE_UNREADABLE(reason="it does not answer")
        except SegmentStreamError as error:
            STORE_UNREADABLE(reason=error)
        return None

    def _of_destinations(self, stats: Mapping[str, DestinationStats]) -> Iterator[Metric]:
        waiting = metrics.OUTBOX_WAITING.family()
        oldest_age = metrics.OUTBOX_OLDEST_AGE_SECONDS.family()
        dead = metrics.DEAD_LETTERS.family()
        breaker_open = metrics.BREAKER_OPEN.family()
        now = self._clock()
        for name in dict.fromkeys([*self._destinations, *stats]):
            each = stats.get(name, DestinationStats())
            received_at = now if each.oldest_received_at is None else each.oldest_received_at
            waiting.add_metric([name], each.waiting)
            oldest_age.add_metric([name], max(0.0, now - received_at))
            dead.add_metric([name], each.dead)
            breaker_open.add_metric([name], each.state.breaker == "open")
        yield from (waiting, oldest_age, dead, breaker_open)
