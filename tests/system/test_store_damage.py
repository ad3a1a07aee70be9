"""A store that is damaged, gone or not ours is never started with, and never made anew."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.system.client import event
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Receiver
from tests.system.service import Service


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service that has stopped with events waiting: copy it, then damage it."""
    folder = tmp_path_factory.mktemp("filled")
    service = Service(folder, workers=1)
    # Nobody listens there, so everything waits.
    service.configure(
        {"crm": {"type": "webhook", "url": "http://127.0.0.1:9/", "timeout_seconds": 1}}
    )
    service.start()
    for number in range(60):
        assert service.post(event(f"hit-{number}", padding="x" * 1000)) == 204
    assert service.stop() == 0
    return folder


def truncate_to_nothing(store: Path) -> None:
    os.truncate(store, 0)


def truncate_to_half(store: Path) -> None:
    os.truncate(store, store.stat().st_size // 2)


def overwrite_the_header(store: Path) -> None:
    _overwrite(store, 0, b"garbage " * 16)


def overwrite_pages_in_the_middle(store: Path) -> None:
    _overwrite(store, store.stat().st_size // 2, b"garbage " * 2048)


def replace_by_another_program_s_database(store: Path) -> None:
    store.unlink()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY)")


def replace_by_another_store(store: Path) -> None:
    other = store.parent / "other"
    other.mkdir()
    service = Service(other, workers=1)
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    assert service.stop() == 0
    shutil.move(service.store, store)


def remove(store: Path) -> None:
    store.unlink()


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (truncate_to_nothing, "is empty; it was truncated or never was a store"),
        (truncate_to_half, "malformed"),
        (overwrite_the_header, "file is not a database"),
        (overwrite_pages_in_the_middle, "is damaged"),
        (replace_by_another_program_s_database, "is a database of another program"),
        (replace_by_another_store, "was replaced by another store"),
        (remove, "is gone, though it was here before"),
    ],
)
def test_the_service_does_not_start_and_says_why(
    filled: Path, tmp_path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    folder = tmp_path / "service"
    shutil.copytree(filled, folder)
    service = Service(folder)
    damage(service.store)
    before = service.store.read_bytes() if service.store.exists() else None
    code, said = service.start_refused()
    assert code == 2
    assert f"{service.store}: " in said
    assert complaint in said
    assert "Traceback" not in said
    assert (service.store.read_bytes() if service.store.exists() else None) == before
    assert not list(folder.glob("*.new"))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    if os.geteuid():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    # root may write everywhere, but not on a disk that is mounted so
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    service = Service(tmp_path)
    service.configure({}, store={"url": f"sqlite:///{folder}/segmentstream.db"})
    with read_only(folder):
        code, said = service.start_refused()
    assert code == 2
    assert f"{folder}/segmentstream.db: cannot be opened: " in said
    assert "Traceback" not in said


def test_a_store_that_goes_away_while_it_serves_is_503_until_it_is_back(
    service: Service, receiver: Receiver
) -> None:
    service.configure({"crm": receiver.as_webhook()})
    service.start()
    assert service.post(event("before")) == 204
    away = service.store.with_name("moved-away")
    drain(service.store)
    service.store.rename(away)
    assert service.post(event("meanwhile")) == 503
    os.kill(service.worker_pids()[0], signal.SIGKILL)  # its successor finds no store
    wait_until(lambda: service.log.read_text().count("Booting worker") == 3)
    until = time.monotonic() + 2.0  # longer than a worker takes to start
    while time.monotonic() < until:
        assert service.post(event("meanwhile")) == 503
        time.sleep(0.05)
    assert not service.store.exists()
    away.rename(service.store)
    wait_until(lambda: {service.post(event("meanwhile")) for _ in range(5)} == {204}, 10.0)
    assert len(receiver.requests()) == 2
