"""The store cannot write for a while: 503 until it can, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.system.checker import History, at_webhook, judge
from tests.system.counts import Counts
from tests.system.faults import fill, locked
from tests.system.load import Load
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Receiver
from tests.system.service import Service, authorization

pytestmark = pytest.mark.serial

LOCK_WAIT_SECONDS = 5.0  # what the service waits for another program's lock
SLOW_MACHINE_SECONDS = 2.0
HEALED_AFTER_SECONDS = 10.0
PADDING_BYTES = 50_000


def test_a_lock_is_waited_for_five_seconds_then_answered_503_and_heals(
    service: Service, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    service.configure({"crm": receiver.as_webhook()})
    service.start()
    with Load(service.port, tmp_path / "clients", clients=4, pause_seconds=0.02) as load:
        with locked(service.store):
            time.sleep(1.0)
        wait_until(lambda: len(load.history().acknowledged) > len(load.clients))
        assert set(load.history().outcomes()) == {204}
        with locked(service.store):
            os.kill(service.worker_pids()[0], signal.SIGKILL)  # its successor finds the lock
            time.sleep(counts.lock_seconds)
        before = len(load.history().acknowledged)
        wait_until(lambda: len(load.history().acknowledged) > before, HEALED_AFTER_SECONDS)
    drain(service.store)
    history = load.history()
    judge(history, at_webhook(receiver)).require(duplicates_at_most=2 * len(load.clients))
    refused = [answer.seconds for answer in history.answers if answer.status == 503]
    assert refused
    assert min(refused) >= LOCK_WAIT_SECONDS - 1
    assert max(refused) <= LOCK_WAIT_SECONDS + SLOW_MACHINE_SECONDS


def test_below_the_disk_floor_nothing_is_taken_and_503_says_when_to_come_again(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    destinations = {"crm": receiver.as_webhook()}
    service.configure(destinations, store={"disk_floor_megabytes": 1 << 40})
    service.start()
    headers = {"Authorization": authorization(), "Content-Type": "application/json"}
    body = b'{"hitId": "hit", "event": {"user": {"userId": "u1"}}}'
    status, fields, _ = service.request("POST", "/track", body, headers)
    assert (status, fields["retry-after"]) == (503, "10")
    assert "under its floor" in service.log.read_text()
    service.configure(destinations)
    service.reload()
    assert service.request("POST", "/track", body, headers)[0] == 204
    assert len(receiver.requests()) == 1


def test_a_full_disk_is_answered_503_and_heals_by_itself(
    service: Service, receiver: Receiver, counts: Counts, disk: Path, tmp_path: Path
) -> None:
    service.configure(
        {"crm": receiver.as_webhook()},
        store={"url": f"sqlite:///{disk}/segmentstream.db", "disk_floor_megabytes": 1},
    )
    service.store = disk / "segmentstream.db"
    service.start()
    folders = []
    for number in range(counts.full_disks):
        with Load(
            service.port,
            tmp_path / f"clients-{number}",
            clients=6,
            padding_bytes=PADDING_BYTES,
            pause_seconds=0.05,
        ) as load:
            folders.append(load.folder)
            # Those that wait for the lock have found enough space before it was filled.
            with locked(service.store):
                time.sleep(0.3)
                filler = fill(disk)
            wait_until(lambda: load.history().outcomes()[503] > 5)
            time.sleep(1.0)
            filler.unlink()
            taken = len(load.history().acknowledged)
            wait_until(
                lambda: len(load.history().acknowledged) > taken + 5,  # noqa: B023 - called at once
                HEALED_AFTER_SECONDS,
            )
        drain(service.store)
    assert "database or disk is full" in service.log.read_text()  # found by writing, not by asking
    judge(History.read(*folders), at_webhook(receiver)).require()
