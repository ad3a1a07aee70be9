"""What happens to a store: another program locks it, the disk is full."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Another program is in the middle of a write transaction."""
    with closing(sqlite3.connect(store, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def fill(folder: Path) -> Path:
    """A file that takes every byte which is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path
