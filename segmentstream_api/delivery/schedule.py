"""When a delivery that failed is tried again, and when it is given up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected
from segmentstream_api.store.records import Buried, OutboxRow, Postponed, Settled, Settlement

FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 300.0
JITTER = 0.2  # ±20 %, so that what failed together does not come back together
MAX_RETRY_AFTER_SECONDS = 3600.0
_MAX_REASON_CHARACTERS = 500  # characters kept; a reason is a sentence


class Schedule:
    """Turns an outcome into what the store shall remember.

    `clock` is the wall clock in Unix seconds; `uniform` draws the jitter.
    """

    def __init__(
        self,
        *,
        retry_for_seconds: float,
        clock: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retry_for_seconds = retry_for_seconds
        self._clock = clock
        self._uniform = uniform

    def settlement(self, row: OutboxRow, outcome: Outcome) -> Settlement:
        """What becomes of the row after an attempt with this outcome."""
        if isinstance(outcome, Delivered):
            return Settled(row.event_id, row.destination)
        attempts = row.attempts + 1
        reason = outcome.reason[:_MAX_REASON_CHARACTERS]
        if isinstance(outcome, Rejected):
            return Buried(row.event_id, row.destination, attempts, reason)
        now = self._clock()
        if now - row.received_at >= self._retry_for_seconds:
            return Buried(row.event_id, row.destination, attempts, f"tried for too long: {reason}")
        asked = outcome.after_seconds
        delay = self.delay_seconds(attempts)
        if asked is not None:
            delay = max(delay, min(asked, MAX_RETRY_AFTER_SECONDS))
        return Postponed(
            row.event_id,
            row.destination,
            row.lease_ms,
            attempts,
            due_at=now + delay,
            held=asked is not None,
            reason=reason,
        )

    def handed_back(self, row: OutboxRow) -> Postponed:
        """The row was not tried after all; it is due at once, for whoever comes first."""
        return Postponed(
            row.event_id,
            row.destination,
            row.lease_ms,
            row.attempts,
            due_at=self._clock(),
            held=False,
            reason=None,
        )

    def delay_seconds(self, attempts: int) -> float:
        """5 s, doubling to 300 s, each ±20 %."""
        doubled = FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 10)
        return min(doubled, MAX_DELAY_SECONDS) * self._uniform(1 - JITTER, 1 + JITTER)
