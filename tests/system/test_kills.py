"""kill -9 of whatever runs, in the middle of its work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.backlog import backlog_of
from tests.system.checker import History, at_webhook, in_file, judge
from tests.system.counts import LONG, Counts
from tests.system.load import Load, under_load
from tests.system.outbox import drain
from tests.system.receiver import Receiver
from tests.system.service import Service, free_port, kill

pytestmark = pytest.mark.serial

CLIENTS = 10
# Of each client's events one may be under way, and one answered whose settlement is not written.
UNSETTLED_PER_KILL = 2 * CLIENTS


def configured(service: Service, receiver: Receiver, counts: Counts) -> list[Callable]:
    """Configures the destinations; returns what reads each one's arrivals."""
    destinations = {"crm": receiver.as_webhook()}
    readers: list[Callable] = [lambda: at_webhook(receiver)]
    if counts is LONG:  # a file's lease lasts 25 s
        destinations["archive"] = {"type": "file", "path": "events.jsonl"}
        readers.append(lambda: in_file(service.folder / "events.jsonl"))
    service.configure(destinations)
    return readers


def test_kill_9_of_workers_and_then_of_everything_loses_nothing_acknowledged(
    service: Service, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    readers = configured(service, receiver, counts)
    service.start()
    with under_load(service, tmp_path, clients=CLIENTS) as folders:
        for _ in range(counts.worker_kills):
            time.sleep(random.uniform(0.2, 0.6))
            service.kill_a_worker()
        for _ in range(counts.group_kills):
            time.sleep(random.uniform(0.2, 0.6))
            service.kill_group()
            service.start()
        time.sleep(0.3)
    drain(service.store)

    history = History.read(*folders)
    assert history.statuses() == {204}  # besides what broke off without an answer
    kills = counts.worker_kills + counts.group_kills * service.workers
    for arrivals in readers:
        judge(history, arrivals()).require(duplicates_at_most=kills * UNSETTLED_PER_KILL)


def test_delivery_processes_killed_between_send_and_settle_cost_one_repeat_each(
    service: Service, new_receiver: Callable[..., Receiver], counts: Counts, tmp_path: Path
) -> None:
    """Nothing else comes twice, though two processes and two workers share what is left."""
    port = free_port()
    # One request at a time, so that a kill cuts off one; four rows are leased at a time.
    one_by_one = {"concurrency": 1}
    events = 4 * counts.redelivery_kills + 100
    backlog_of(service, events, port, tmp_path, settings=one_by_one)
    receiver = new_receiver(port=port)
    arrived, answer = threading.Semaphore(0), threading.Event()

    def hold_back_the_answer() -> None:
        arrived.release()
        answer.wait(20)

    receiver.before_answer = hold_back_the_answer
    for _ in range(counts.redelivery_kills):
        process = service.start_deliver()
        assert arrived.acquire(timeout=20), service.log.read_text()[-3000:]
        kill(process)
    receiver.before_answer = lambda: None
    receiver.delay_seconds = 0.01  # so that the four of them meet
    answer.set()
    service.start_deliver()
    service.start_deliver()
    service.start()
    with Load(service.port, tmp_path / "clients", clients=4, events=50) as load:
        load.wait()
    drain(service.store)
    history = History.read(tmp_path / "backlog", load.folder)
    assert len(history.acknowledged) == events + 200
    verdict = judge(history, at_webhook(receiver))
    verdict.require(duplicates_at_most=counts.redelivery_kills)
    assert verdict.duplicates == counts.redelivery_kills
