"""How often an address and a project may be written to without a secret.

Anybody can read a project id or a browser token in a page, so neither keeps anybody from sending.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from segmentstream_api.config import Project
from segmentstream_api.errors import TooManyRequests

_BURST_SECONDS = 10  # ours: what is saved up, since a page sends many events when it opens
_MAX_ADDRESSES = 20_000  # ours: about 4 MB in each worker
_IPV6_PREFIX = 64  # a household has 64 bits of addresses: RFC 6177, section 2


class RateLimits:
    """One for each worker: what one of them has admitted, the others do not know."""

    def __init__(
        self, projects: Iterable[Project], clock: Callable[[], float] = time.monotonic
    ) -> None:
        projects = tuple(projects)
        rates = {each.name: each.browser for each in projects}
        self._per_address = {
            name: TokenBuckets(rate.max_requests_per_second_per_address, clock)
            for name, rate in rates.items()
        }
        self._per_project = {
            name: TokenBuckets(rate.max_requests_per_second, clock) for name, rate in rates.items()
        }

    def admit(self, peer: str | None, project: str) -> None:
        """Raises TooManyRequests. The address goes first, so that one cannot use up the project's.

        Without an address, only the project counts.
        """
        if peer is not None and (wait := self._per_address[project].take(_network(peer))):
            raise TooManyRequests("This address sends more than the project allows.", wait)
        if wait := self._per_project[project].take(project):
            raise TooManyRequests("The project gets more than it allows.", wait)


class TokenBuckets:
    """A bucket for each name, which fills by `rate` a second. Safe for threads.

    Of more than `max_names`, those that have been quiet the longest are forgotten.
    """

    def __init__(
        self, rate: float, clock: Callable[[], float], max_names: int = _MAX_ADDRESSES
    ) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate * _BURST_SECONDS)
        self._clock = clock
        self._max_names = max_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, when
        self._lock = threading.Lock()

    def take(self, name: str) -> int:
        """Whole seconds until the next is admitted; 0 if this one is."""
        with self._lock:
            now = self._clock()
            level, then = self._buckets.pop(name, (self._capacity, now))
            level = min(self._capacity, level + (now - then) * self._rate)
            admitted = level >= 1
            self._buckets[name] = (level - 1 if admitted else level, now)
            if len(self._buckets) > self._max_names:
                self._buckets.popitem(last=False)
        return 0 if admitted else math.ceil((1 - level) / self._rate)


def _network(peer: str) -> str:
    """The address, or the network of one of IPv6."""
    if ":" not in peer:
        return peer
    try:
        return str(ipaddress.ip_network((peer.partition("%")[0], _IPV6_PREFIX), strict=False))
    except ValueError:
        return peer
