"""How many lines of a kind are written, so that no flood of them fills a disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

WINDOW_SECONDS = 60.0

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Window:
    ends_at: float
    admitted: int = 0
    suppressed: int = 0


class Limiter(Generic[Key]):
    """Admits the first few of each key in a window of time and counts the others.

    One thread at a time: its handler has a lock. `monotonic` is a clock in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._windows: dict[Key, _Window] = {}

    def admits(self, key: Key, most: int) -> bool:
        """Whether this one is among the first `most` of its window, which it may have begun."""
        window = self._windows.setdefault(key, _Window(self._monotonic() + WINDOW_SECONDS))
        if window.admitted < most:
            window.admitted += 1
            return True
        window.suppressed += 1
        return False

    @property
    def holds_back(self) -> bool:
        """Whether there is something that `ended` will tell."""
        return any(each.suppressed for each in self._windows.values())

    def ended(self, *, all_of_them: bool = False) -> list[tuple[Key, int]]:
        """How many were suppressed, for each key whose window has ended. It is told only once."""
        now = self._monotonic()
        over = [
            (key, each) for key, each in self._windows.items() if all_of_them or now >= each.ends_at
        ]
        for key, _ in over:
            del self._windows[key]
        return [(key, each.suppressed) for key, each in over if each.suppressed]
