"""What waits in the store, seen from outside: the SQLite file, opened for reading alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any


def query(store: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows. Raises sqlite3.Error, such as when nobody has the store open."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        return connection.execute(statement, values).fetchall()


def waiting(store: Path, destination: str = "%") -> int:
    """How many deliveries the outbox holds."""
    ((count,),) = query(store, "SELECT COUNT(*) FROM outbox WHERE destination LIKE ?", destination)
    return int(count)


def drain(store: Path, timeout_seconds: float = 45.0) -> float:
    """Waits until the outbox is empty; how many seconds that took."""
    began = time.monotonic()
    wait_until(lambda: waiting(store) == 0, timeout_seconds, what="the outbox to be empty")
    return time.monotonic() - began


def wait_until(
    condition: Callable[[], bool], timeout_seconds: float = 20.0, *, what: str = "it"
) -> None:
    """Asks again and again; raises AssertionError when it did not come about in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_seconds} s for {what} in vain"
        time.sleep(0.05)
