"""Whether a destination answers within the push budget, so that a request should wait for it.

One for each lane. The breaker asks whether sending is worth it at all; a destination that works but
takes longer than a request waits would never open it, and cost every request its whole budget.
"""

from __future__ import annotations

from segmentstream_api.logs.entries import DESTINATION_SLOW, DESTINATION_SLOW_RESOLVED


class Pace:
    """Falls behind when a request has waited in vain; any attempt that is quick enough mends it.

    While it is behind, redelivery makes the attempts, and no request waits for them.
    """

    def __init__(self, name: str, push_budget_seconds: float) -> None:
        self._name = name
        self._push_budget_seconds = push_budget_seconds
        self._behind = False

    @property
    def keeps_up(self) -> bool:
        return not self._behind

    def missed(self) -> None:
        """A request's budget was over before the destination had answered."""
        if not self._behind:
            self._behind = True
            DESTINATION_SLOW(destination=self._name)

    def took(self, seconds: float) -> None:
        """An attempt came to an end, whatever the answer."""
        if self._behind and seconds < self._push_budget_seconds:
            self._behind = False
            DESTINATION_SLOW_RESOLVED(destination=self._name)
