"""A folder as a service leaves it: configuration, store, events that wait and dead letters."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segmentstream_api.event.event import new_event
from segmentstream_api.http.auth import token_digest
from segmentstream_api.store.records import Buried, DestinationState
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.system.service import TOKEN

CONFIGURATION = f"""
[store]
disk_floor_megabytes = 1

[projects.shop]
tokens = ["{token_digest(TOKEN)}"]
destinations = ["archive", "crm"]

[destinations.archive]
type = "file"
path = "events.jsonl"

[destinations.crm]
type = "file"
path = "crm.jsonl"
"""


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def configure(self, text: str = CONFIGURATION) -> None:
        (self.path / "segmentstream.toml").write_text(text, "utf-8")

    @contextmanager
    def store(self, at: float | None = None) -> Iterator[SqliteStore]:
        """The store; it is `at`, Unix seconds, there if that is given."""
        store = SqliteStore(
            SqliteFile(self.path / "segmentstream.db", floor_bytes=1 << 20),
            dedup_window_seconds=86400,
            retry_for_seconds=86400,
            dead_letters_for_seconds=86400 * 3650,
            clock=time.time if at is None else lambda: at,
        )
        store.open()
        try:
            yield store
        finally:
            store.close()

    def wait(
        self, *hit_ids: str, destination: str = "archive", name: str = "Registered", at: float = 0
    ) -> None:
        """Events that wait for a destination."""
        self._accept(hit_ids, destination, name, at or time.time(), reason=None)

    def bury(
        self,
        *hit_ids: str,
        destination: str = "crm",
        name: str = "Registered",
        reason: str = "HTTP 400",
        at: float = 0,
    ) -> None:
        """Events that a destination refused at that time."""
        self._accept(hit_ids, destination, name, at or time.time() - 60, reason)

    def note(self, destination: str, state: DestinationState) -> None:
        with self.store() as store:
            store.note(destination, state)

    def waiting(self) -> Mapping[str, int]:
        with self.store() as store:
            return {name: stats.waiting for name, stats in store.stats().items() if stats.waiting}

    def dead(self) -> Mapping[str, int]:
        with self.store() as store:
            return {name: stats.dead for name, stats in store.stats().items() if stats.dead}

    def _accept(
        self, hit_ids: tuple[str, ...], destination: str, name: str, at: float, reason: str | None
    ) -> None:
        def accept(hit_id: str) -> None:
            document = {"hitId": hit_id, "event": {"name": name, "user": {"userId": "u1"}}}
            receipt = store.accept(new_event("shop", document, received_at=at), {destination: 0.0})
            assert receipt.event_id is not None
            if reason is not None:
                store.settle([Buried(receipt.event_id, destination, 3, reason)])

        # Many at once share a commit.
        with self.store(at) as store, ThreadPoolExecutor(64) as threads:
            list(threads.map(accept, hit_ids))


def start(*argv: str, **options: Any) -> subprocess.Popen[Any]:
    """The command line as a process of its own, in the current folder."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "segmentstream_api", *argv]
    return subprocess.Popen(command, env=environ, **options)


def until(condition: Callable[[], object], timeout_seconds: float = 20.0) -> None:
    """Waits for what another process does."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s"
        time.sleep(0.02)
