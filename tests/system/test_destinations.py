"""Destinations that are down, hang, answer 5xx or lose their answers: nobody else notices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.checker import History, at_webhook, in_file, judge
from tests.system.counts import Counts
from tests.system.load import Load
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Hanging, Receiver
from tests.system.service import Service

pytestmark = pytest.mark.serial

PUSH_BUDGET_SECONDS = 2.0
STORE_SECONDS = 2.0  # generous: two commits on a machine that others use too
# A request that waits for no destination is as fast as one that waits for healthy ones, or faster.
# The factor is for a machine that is busy with something else.
SLOWER_AT_MOST = 5.0


def everybody_has(history: History, *receivers: Receiver) -> bool:
    return all(not judge(history, at_webhook(receiver)).lost for receiver in receivers)


def test_two_destinations_that_refuse_and_hang_hurt_nobody_and_get_everything_later(
    service: Service, new_receiver: Callable[..., Receiver], counts: Counts, tmp_path: Path
) -> None:
    crm, refusing, hanging = (new_receiver(name) for name in ("crm", "refusing", "hanging"))
    archive = service.folder / "events.jsonl"
    service.configure(
        {
            "archive": {"type": "file", "path": archive.name},
            "crm": crm.as_webhook(),
            "refusing": refusing.as_webhook(),
            "hanging": hanging.as_webhook(),
        },
        delivery={"push_budget_seconds": PUSH_BUDGET_SECONDS},
    )
    service.start()

    def load(name: str, until: Callable[[], object]) -> History:
        with Load(service.port, tmp_path / name, pause_seconds=0.02) as running:
            until()
        return running.history()

    def both_breakers_are_open_in_every_worker() -> bool:
        return service.log.read_text().count("its breaker opens") == 2 * len(service.worker_pids())

    healthy = load("healthy", lambda: time.sleep(1.0))
    refusing.close()
    hanging.close()
    with Hanging(hanging.port):
        opening = load("opening", lambda: wait_until(both_breakers_are_open_in_every_worker))
        outage = load("outage", lambda: time.sleep(counts.outage_seconds))
        wait_until(lambda: everybody_has(outage, crm))
        assert not judge(outage, in_file(archive)).lost
    back = [new_receiver(each.log.stem, port=each.port) for each in (refusing, hanging)]
    drain(service.store)
    after = load("after", lambda: time.sleep(0.3))
    wait_until(lambda: everybody_has(after, crm, *back))  # each worker's breaker has its own probe

    history = History.read(*(tmp_path / name for name in ("healthy", "opening", "outage", "after")))
    assert set(history.outcomes()) == {204}
    judge(history, in_file(archive)).require()
    for receiver in (crm, *back):
        judge(history, at_webhook(receiver)).require()
    assert opening.seconds()[-1] <= PUSH_BUDGET_SECONDS + STORE_SECONDS
    median = statistics.median(outage.seconds())
    assert median <= SLOWER_AT_MOST * statistics.median(healthy.seconds())


def test_one_in_ten_answered_500_and_one_in_ten_answers_lost(
    service: Service, new_receiver: Callable[..., Receiver], counts: Counts, tmp_path: Path
) -> None:
    """The answer is lost after the destination has taken the event: it gets it once more."""

    def sometimes(fault: int | None) -> Callable[[int], int | None]:
        return lambda count: fault if count <= counts.flaky_events and count % 10 == 0 else 204

    failing = new_receiver("failing", answer=sometimes(500))
    silent = new_receiver("silent", answer=sometimes(None))
    service.configure({"failing": failing.as_webhook(), "silent": silent.as_webhook()})
    service.start()
    events = counts.flaky_events // 5
    with Load(service.port, tmp_path / "clients", clients=5, events=events) as load:
        load.wait()
    drain(service.store, timeout_seconds=120)

    history = load.history()
    assert len(history.acknowledged) == counts.flaky_events
    assert set(history.outcomes()) == {204}
    statuses = [request["status"] for request in failing.requests()]
    assert statuses.count(500) == counts.flaky_events // 10
    judge(history, at_webhook(failing)).require()
    verdict = judge(history, at_webhook(silent))
    verdict.require(duplicates_at_most=counts.flaky_events // 10)
    assert verdict.duplicates == counts.flaky_events // 10


def test_a_slow_destination_holds_up_few_requests_and_none_beyond_the_push_budget(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    """It answers well, so no breaker helps. Two requests in each worker may wait for it."""
    budget_seconds = 0.6
    service.configure(
        {"crm": {**receiver.as_webhook(timeout_seconds=5), "concurrency": 2}},
        delivery={"push_budget_seconds": budget_seconds, "most_waiting_requests": 2},
    )
    receiver.delay_seconds = budget_seconds + STORE_SECONDS + 1.0
    service.start()
    with Load(service.port, tmp_path / "clients", clients=12, pause_seconds=0.05) as load:
        time.sleep(1.5)
    receiver.delay_seconds = 0.0
    drain(service.store)
    judge(load.history(), at_webhook(receiver)).require()
    seconds = load.history().seconds()
    assert seconds[-1] <= budget_seconds + STORE_SECONDS
    assert statistics.median(seconds) <= budget_seconds / 2
