"""A wall clock that is wrong or is set meanwhile: deliveries neither stop nor storm."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.backlog import backlog_of
from tests.system.checker import History, at_webhook, judge
from tests.system.counts import LONG, Counts
from tests.system.outbox import drain
from tests.system.receiver import Receiver
from tests.system.service import Service, free_port

libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(not libraries, reason="needs libfaketime (the package faketime)"),
]


def fake_the_clock(service: Service, offset: str = "+0") -> Path:
    """From its next start on, its wall clock is off by what is written in the returned file."""
    path = service.folder / "faketime"
    set_clock(path, offset)
    service.environ |= {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # nobody sets the steady clock
        "NO_FAKE_STAT": "1",
    }
    return path


def set_clock(path: Path, offset: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(offset)
    draft.rename(path)  # at once: half an offset would be another one


@pytest.fixture(scope="module")
def backlog(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, History]:
    """The folder of a service that has stopped, its webhook's port, and what was accepted."""
    folder = tmp_path_factory.mktemp("backlog")
    (folder / "service").mkdir()
    port = free_port()
    return folder / "service", port, backlog_of(Service(folder / "service"), 50, port, folder)


@pytest.mark.parametrize("offset", ["-1h", "+1h", "+25h"])
def test_a_clock_set_between_acceptance_and_delivery_changes_nothing(
    backlog: tuple[Path, int, History],
    service: Service,
    new_receiver: Callable[..., Receiver],
    offset: str,
) -> None:
    folder, port, history = backlog
    shutil.copytree(folder, service.folder, dirs_exist_ok=True)
    fake_the_clock(service, offset)
    receiver = new_receiver("crm", port=port)
    service.start_deliver()
    drain(service.store)
    judge(history, at_webhook(receiver)).require()


def test_a_clock_set_again_and_again_neither_stops_nor_storms(
    service: Service, new_receiver: Callable[..., Receiver], counts: Counts, tmp_path: Path
) -> None:
    """For `deliver` alone: under libfaketime gunicorn's main process cannot sleep."""
    if counts is not LONG:
        pytest.skip("needs --long: a clock set back is noticed within 30 s")
    port = free_port()
    history = backlog_of(service, 200, port, tmp_path)
    # Each other request fails, so that much waits for its next attempt and no breaker opens.
    failing = new_receiver("crm", port=port, answer=lambda count: 500 if count % 2 else 204)
    path = fake_the_clock(service)
    service.start_deliver()
    for offset in ("+1h", "+25h", "+0", "-1h", "+0"):
        time.sleep(3.0)
        set_clock(path, offset)
    failing.answer = lambda _count: 204
    drain(service.store, timeout_seconds=60)
    arrivals = list(at_webhook(failing))
    judge(history, arrivals).require(duplicates_at_most=10)  # leases that ended early
    assert len(arrivals) <= 4 * len(history.sent)
