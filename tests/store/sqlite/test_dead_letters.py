from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from segmentstream_api.store.sqlite.dead_letters import prune
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import A_DAY, NOON, an_event


@pytest.fixture
def steps_to_prune(tmp_path):
    """In hundreds of SQLite's own steps, with so many events that wait and are not too old."""

    def steps_to_prune(waiting):
        path = tmp_path / f"{waiting}.db"
        store = SqliteStore(
            SqliteFile(path, floor_bytes=0),
            dedup_window_seconds=A_DAY,
            retry_for_seconds=A_DAY,
            dead_letters_for_seconds=A_DAY,
            clock=lambda: NOON,
        )
        store.open()
        store.accept_all([(an_event(), {"crm": 0.0}) for _ in range(waiting)])
        store.close()
        steps = []
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.set_progress_handler(lambda: steps.append(1), 100)
            before_ms = int((NOON - A_DAY) * 1000)
            pruned = prune(
                writer,
                ["crm"],
                now_ms=int(NOON * 1000),
                accepted_before_ms=before_ms,
                died_before_ms=before_ms,
                limit=10,
            )
        assert pruned == 0
        return len(steps)

    return steps_to_prune


def test_pruning_takes_no_longer_for_a_long_queue(steps_to_prune):
    """It is done under the lock that every request waits for."""
    assert steps_to_prune(5000) <= steps_to_prune(500) + 5
