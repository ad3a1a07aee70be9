"""Hangs up the connections whose transactions take too long: one thread watches all of a process's.

A timer for each transaction would start a thread each time, while others wait for the commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from segmentstream_api.postgresql.connections import abort_connection

_LOOK_EVERY_SECONDS = 0.2


class Deadlines:
    """Belongs to the process that starts it, after any fork."""

    def __init__(self) -> None:
        self._deadlines: dict[psycopg.Connection[Any], float] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-deadlines", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    @contextmanager
    def watch(self, connection: psycopg.Connection[Any], deadline: float) -> Iterator[None]:
        """From `deadline` on (monotonic seconds), whoever waits in the block gets an error."""
        with self._lock:
            self._deadlines[connection] = deadline
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[connection]

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            now = time.monotonic()
            with self._lock:
                for connection, deadline in self._deadlines.items():
                    if now >= deadline:
                        abort_connection(connection)
