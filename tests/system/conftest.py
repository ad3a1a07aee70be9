"""Fixtures of the system tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.counts import LONG, SHORT, Counts
from tests.system.receiver import Receiver
from tests.system.service import Service


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
