from __future__ import annotations

import pytest

from tests.optional import require
from tests.store import contract

require("psycopg")

from segmentstream_api.store.postgresql.store import PostgresqlStore  # noqa: E402 - only if it is there


class TestPostgresqlStore(contract.StoreContract):
    @pytest.fixture
    def connect(self, empty_database, clock):
        made = []

        def connect():
            store = PostgresqlStore(
                empty_database,
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
