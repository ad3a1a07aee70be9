"""What is seen of a destination's answers: counted, logged, told to its breaker, noted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from segmentstream_api import metrics
from segmentstream_api.delivery.breaker import Breaker
from segmentstream_api.delivery.schedule import LONGEST_RETRY_AFTER_SECONDS
from segmentstream_api.destinations.base import Outcome, Rejected, Retry
from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.store.base import DestinationState, Store

log = logging.getLogger(__name__)


class Watch:
    """One destination's. `clock` is the wall clock, Unix seconds."""

    def __init__(
        self, name: str, breaker: Breaker, store: Store, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._breaker = breaker
        self._store = store
        self._clock = clock

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Takes note of one attempt. To refuse an event is an answer: the destination is alive."""
        failures: list[Retry] = []
        for outcome in outcomes:
            metrics.deliveries(self._name, type(outcome).__name__.lower())
            if isinstance(outcome, Retry):
                failures.append(outcome)
            elif isinstance(outcome, Rejected):
                log.warning("destination %s rejected an event: %s", self._name, outcome.reason)
        if len(failures) < len(outcomes) and self._breaker.succeeded():
            self._closed()
        if failures:
            self._failed(failures)

    def _closed(self) -> None:
        log.warning("destination %s answers again: its breaker closes", self._name)
        self._store.note(self._name, DestinationState("closed", self._clock()))
        try:
            self._store.release(self._name)
        except SegmentStreamError as error:  # then each is due when its own time comes
            log.warning("destination %s: its backlog was not released: %s", self._name, error)

    def _failed(self, failures: Sequence[Retry]) -> None:
        reason = failures[0].reason
        misconfigured = any(failure.misconfigured for failure in failures)
        asked = max(failure.after_seconds or 0.0 for failure in failures)
        hold_seconds = min(asked, LONGEST_RETRY_AFTER_SECONDS)
        now = self._clock()
        if self._breaker.failed(hold_seconds):
            log.error(
                "destination %s fails (%s): its breaker opens, its events wait", self._name, reason
            )
            self._store.note(self._name, DestinationState("open", now, reason, now))
        elif not self._breaker.is_open:
            level = logging.ERROR if misconfigured else logging.WARNING
            log.log(level, "destination %s did not take an event: %s", self._name, reason)
            self._store.note(self._name, DestinationState("closed", None, reason, now))
