from __future__ import annotations

import pytest

from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import A_DAY, Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connect(tmp_path, clock):
    """Makes a store, opened, on the same data each time; `kind` may be a subclass."""
    made = []

    def connect(kind=SqliteStore):
        store = kind(
            SqliteFile(tmp_path / "store.db", floor_bytes=0, wait_for_lock_seconds=0.2),
            dedup_window_seconds=A_DAY,
            retry_for_seconds=3 * A_DAY,
            dead_letters_for_seconds=30 * A_DAY,
            clock=clock,
        )
        store.open()
        made.append(store)
        return store

    yield connect
    for store in made:
        store.close()


@pytest.fixture
def store(connect):
    return connect()
