"""Whether a destination is worth trying now. One for each destination in each process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

FAILURES_TO_OPEN = 5
PROBE_EVERY_SECONDS = 10.0


class Permit(Enum):
    """What redelivery may do now."""

    EVERYTHING = "everything"
    PROBE = "probe"
    NOTHING = "nothing"


class Breaker:
    """Opens after FAILURES_TO_OPEN failures in a row; while open, one probe now and then.

    `monotonic` is a clock in seconds that is never set.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._next_probe_at = 0.0
        self._held_until = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN

    @property
    def admits(self) -> bool:
        """Whether anything but a probe may be sent now."""
        return not self.is_open and self._monotonic() >= self._held_until

    def permit(self) -> Permit:
        """Asking is taking: a PROBE is given to one caller, the next one PROBE_EVERY_SECONDS on."""
        with self._lock:
            now = self._monotonic()
            if now < self._held_until:
                return Permit.NOTHING
            if not self.is_open:
                return Permit.EVERYTHING
            if now < self._next_probe_at:
                return Permit.NOTHING
            self._next_probe_at = now + PROBE_EVERY_SECONDS
            return Permit.PROBE

    def succeeded(self) -> bool:
        """Takes note of an answer; True if that closed the breaker."""
        with self._lock:
            was_open = self.is_open
            self._failures = 0
            return was_open

    def failed(self, hold_seconds: float = 0.0) -> bool:
        """Takes note of a failure; True if that opened the breaker.

        `hold_seconds` is how long the destination asked to be left alone.
        """
        with self._lock:
            now = self._monotonic()
            self._held_until = max(self._held_until, now + hold_seconds)
            self._failures += 1
            opened = self._failures == FAILURES_TO_OPEN
            if opened:
                self._next_probe_at = now + PROBE_EVERY_SECONDS
            return opened
