"""Fixtures of the system tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.counts import LONG, SHORT, Counts
from tests.system.receiver import Receiver
from tests.system.service import Service

DISK_BYTES = 32 << 20


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counts:
    return LONG if request.config.getoption("--long") else SHORT


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Not started yet: the test configures it first."""
    folder = tmp_path / "service"
    folder.mkdir()
    service = Service(folder)
    yield service
    service.kill_everything()


@pytest.fixture
def new_receiver(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Makes receivers: `new_receiver(name, …)` logs to a file of that name."""
    receivers = []

    def make(name: str = "received", **options) -> Receiver:
        receivers.append(Receiver(tmp_path / f"{name}.jsonl", **options))
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.close()


@pytest.fixture
def receiver(new_receiver: Callable[..., Receiver]) -> Receiver:
    return new_receiver()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, soon filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_BYTES}"
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mount.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
