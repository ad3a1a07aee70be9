"""What is seen of a destination's answers: counted, logged, told to its breaker, noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segmentstream_api.delivery.breaker import Breaker
from segmentstream_api.delivery.schedule import MAX_RETRY_AFTER_SECONDS
from segmentstream_api.destinations.base import Outcome, Rejected, Retry
from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import (
    BACKLOG_RELEASE_FAILED,
    BREAKER_CLOSED,
    BREAKER_OPENED,
    DELIVERY_FAILED,
    DELIVERY_MISCONFIGURED,
    DELIVERY_REJECTED,
)
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import DestinationState


class OutcomeRecorder:
    """One destination's. `clock` is the wall clock, Unix seconds."""

    def __init__(
        self, name: str, breaker: Breaker, store: Store, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._breaker = breaker
        self._store = store
        self._clock = clock
        self._opened_at: float | None = None
        self._last_reason: str | None = None
        metrics.destination(name)

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Takes note of one attempt. To refuse an event is an answer: the destination is alive."""
        failures: list[Retry] = []
        for outcome in outcomes:
            metrics.delivery(self._name, _kind(outcome))
            if isinstance(outcome, Retry):
                failures.append(outcome)
            elif isinstance(outcome, Rejected):
                DELIVERY_REJECTED(destination=self._name, reason=outcome.reason)
        if len(failures) < len(outcomes) and self._breaker.succeeded():
            self._closed()
        if failures:
            self._failed(failures)

    def took(self, seconds: float) -> None:
        """Takes note of how long the destination had one batch."""
        metrics.delivery_seconds(self._name, seconds)

    def _closed(self) -> None:
        BREAKER_CLOSED(destination=self._name)
        self._store.note(self._name, DestinationState("closed", self._clock()))
        try:
            self._store.release(self._name)
        except SegmentStreamError as error:  # then each is due when its own time comes
            BACKLOG_RELEASE_FAILED(destination=self._name, reason=error)

    def _failed(self, failures: Sequence[Retry]) -> None:
        reason = failures[0].reason
        misconfigured = any(failure.misconfigured for failure in failures)
        asked = max(failure.after_seconds or 0.0 for failure in failures)
        hold_seconds = min(asked, MAX_RETRY_AFTER_SECONDS)
        now = self._clock()
        said = DELIVERY_MISCONFIGURED if misconfigured else DELIVERY_FAILED
        if self._breaker.failed(hold_seconds):
            self._opened_at = now
            BREAKER_OPENED(destination=self._name, reason=reason)
            self._store.note(self._name, DestinationState("open", now, reason, now))
        elif self._breaker.is_open:  # a probe failed
            if reason != self._last_reason:
                said(destination=self._name, reason=reason)
            self._store.note(self._name, DestinationState("open", self._opened_at, reason, now))
        else:
            said(destination=self._name, reason=reason)
            self._store.note(self._name, DestinationState("closed", None, reason, now))
        self._last_reason = reason


def _kind(outcome: Outcome) -> str:
    """The label of the metric; a destination of another package may subclass the outcomes."""
    match outcome:
        case Retry():
            return "retry"
        case Rejected():
            return "rejected"
        case _:
            return "delivered"
