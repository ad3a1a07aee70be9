"""The clock that due times, leases and expiries of a shared store follow: the server's.

Several machines' clocks differ, and a lease that one of them writes must mean the same to all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg


class ServerClock:
    """Unix seconds; this machine's own until the server's was read for the first time."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._offset_seconds = wall() - monotonic()

    def __call__(self) -> float:
        return self._monotonic() + self._offset_seconds

    def read(self, connection: psycopg.Connection[Any]) -> None:
        """Follows the server's clock from now on, as exactly as the answer was quick."""
        asked = self._monotonic()
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        answered = self._monotonic()
        if row is not None:
            self._offset_seconds = row[0] - (asked + answered) / 2
