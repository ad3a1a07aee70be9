from __future__ import annotations

import pytest

from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.store import contract


class TestSqliteStore(contract.StoreContract):
    @pytest.fixture
    def connect(self, tmp_path, clock):
        made = []

        def connect():
            store = SqliteStore(
                SqliteFile(tmp_path / "store.db", floor_bytes=0),
                dedup_window_seconds=contract.WINDOW,
                retry_for_seconds=contract.RETRY_FOR,
                dead_letters_for_seconds=contract.KEEP_DEAD_FOR,
                clock=clock,
            )
            store.open()
            made.append(store)
            return store

        yield connect
        for store in made:
            store.close()
