"""Two instances of the service and a process of redelivery on one PostgreSQL, through faults."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.optional import missing, require
from tests.system.checker import History, at_webhook, judge
from tests.system.client import event
from tests.system.counts import Counts
from tests.system.load import Load
from tests.system.outbox import wait_until
from tests.system.receiver import Receiver
from tests.system.service import Service, authorization
from tests.system.test_clock import fake_the_clock, libraries

require("psycopg")

from tests.postgresql_server import PASSWORD, Server, missing_for_a_server  # noqa: E402 - as above

pytestmark = pytest.mark.serial

log = logging.getLogger(__name__)

CLIENTS = 4  # of each instance
# Of each client's events one may be under way, and one answered whose settlement is not written.
UNSETTLED_PER_FAULT = 4 * CLIENTS
MAX_WAIT_SECONDS = 5.0  # for the store, then 503
SLOW_MACHINE_SECONDS = 4.0
HEALED_AFTER_SECONDS = 20.0  # five are promised


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that the tests may stop and start."""
    lack = missing_for_a_server()
    if lack:
        missing(lack)
    with Server() as server:
        yield server


@pytest.fixture
def database(server: Server) -> str:
    """The URL of an empty one."""
    server.query("DROP DATABASE IF EXISTS events WITH (FORCE)")
    server.query("CREATE DATABASE events")
    return server.url_of("events")


@pytest.fixture
def instances(database: str, receiver: Receiver, tmp_path: Path) -> Iterator[list[Service]]:
    """Two, configured alike and not started."""
    services = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        services.append(Service(folder, threads=4))
        services[-1].environ["STORE_PASSWORD"] = PASSWORD
        url = database.replace(PASSWORD, "${STORE_PASSWORD}")
        services[-1].configure({"crm": receiver.as_webhook()}, store={"url": url})
    yield services
    for service in services:
        service.kill_everything()


def waiting(server: Server) -> int:
    ((count,),) = server.query("SELECT count(*) FROM segmentstream.outbox", "events")
    return int(str(count))


def drain(server: Server) -> None:
    wait_until(lambda: waiting(server) == 0, 60.0, what="the outbox to be empty")


@contextmanager
def load_on(instances: list[Service], folder: Path) -> Iterator[list[Load]]:
    """Clients of both instances at work; each event is posted to one of them."""
    with (
        Load(instances[0].port, folder / "clients-0", clients=CLIENTS, pause_seconds=0.01) as one,
        Load(instances[1].port, folder / "clients-1", clients=CLIENTS, keep_alive=False) as two,
    ):
        yield [one, two]


def test_kill_9_of_workers_of_both_instances_and_of_the_redelivery_loses_nothing(
    instances: list[Service], server: Server, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    for service in instances:
        service.start()
    deliver = instances[0].start_deliver()
    with load_on(instances, tmp_path) as loads:
        for _ in range(counts.worker_kills):
            time.sleep(random.uniform(0.2, 0.6))
            random.choice(instances).kill_a_worker()
        deliver.kill()
        deliver.wait(10)
        instances[1].start_deliver()
        instances[1].reload()  # SIGHUP
        time.sleep(0.3)
    drain(server)
    history = History.read(*(load.folder for load in loads))
    assert history.statuses() == {204}  # besides what broke off without an answer
    faults = counts.worker_kills + 1
    verdict = judge(history, at_webhook(receiver))
    verdict.require(duplicates_at_most=faults * UNSETTLED_PER_FAULT)


def test_the_same_hit_id_posted_to_both_at_once_is_delivered_once(
    instances: list[Service], server: Server, receiver: Receiver, counts: Counts
) -> None:
    for service in instances:
        service.start()
    instances[0].start_deliver()
    side_by_side = 8
    hit_ids = [f"twin-{number}" for number in range(counts.twins)]
    barrier = threading.Barrier(side_by_side)

    def post(number: int) -> list[int]:
        statuses = []
        for hit_id in hit_ids:
            barrier.wait(60)
            statuses.append(instances[number % 2].post(event(hit_id)))
        return statuses

    with ThreadPoolExecutor(side_by_side) as threads:
        statuses = [status for each in threads.map(post, range(side_by_side)) for status in each]
    assert set(statuses) == {204}
    drain(server)
    bodies = [request["body"] for request in receiver.requests()]
    assert len(bodies) == len(hit_ids)


def test_without_a_fault_nothing_comes_twice_though_all_share_the_backlog(
    instances: list[Service], server: Server, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    receiver.answer = lambda _count: 503
    instances[0].start()
    with Load(instances[0].port, tmp_path / "backlog", clients=CLIENTS, events=30) as backlog:
        backlog.wait()
    attempts = len(receiver.requests())
    assert waiting(server) == CLIENTS * 30
    receiver.answer = lambda _count: 204
    receiver.delay_seconds = 0.01  # so that all of them meet
    instances[0].start_deliver()
    instances[1].start_deliver()
    instances[1].start()
    drain(server)
    kept = [request for request in receiver.requests()[attempts:] if request["status"] == 204]
    assert len(kept) == len({request["key"] for request in kept}) == CLIENTS * 30
    judge(backlog.history(), at_webhook(receiver)).require()


@pytest.mark.skipif(not libraries, reason="needs libfaketime (the package faketime)")
def test_a_machine_whose_clock_is_wrong_takes_nothing_that_another_is_sending(
    instances: list[Service], server: Server, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer = lambda _count: 503
    right, wrong = instances
    right.start()
    with Load(right.port, tmp_path / "backlog", clients=CLIENTS, events=30) as backlog:
        backlog.wait()
    right.stop()
    receiver.answer = lambda _count: 204
    receiver.delay_seconds = 0.05
    fake_the_clock(wrong, "+25h")
    right.start_deliver()
    wrong.start_deliver()
    drain(server)
    judge(backlog.history(), at_webhook(receiver)).require()


def test_while_the_server_is_down_events_get_503_and_after_it_204_within_seconds(
    instances: list[Service], server: Server, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    for service in instances:
        service.start()
    instances[0].start_deliver()
    with load_on(instances, tmp_path) as loads:
        for _ in range(counts.database_crashes):
            time.sleep(0.5)
            server.stop(immediately=True)
            refused = [load.history().outcomes()[503] for load in loads]
            time.sleep(counts.outage_seconds)
            for load, before in zip(loads, refused, strict=True):
                wait_until(lambda: load.history().outcomes()[503] > before)  # noqa: B023 - at once
            server.start()
            began = time.monotonic()
            taken = [len(load.history().acknowledged) for load in loads]
            for load, before in zip(loads, taken, strict=True):
                wait_until(
                    lambda: len(load.history().acknowledged) > before,  # noqa: B023 - at once
                    HEALED_AFTER_SECONDS,
                )
            log.info("healed after %.2f s", time.monotonic() - began)  # shown by pytest -rP
    drain(server)
    history = History.read(*(load.folder for load in loads))
    assert history.statuses() == {204, 503}
    longest = max(answer.seconds for answer in history.answers if answer.status == 503)
    assert longest <= MAX_WAIT_SECONDS + SLOW_MACHINE_SECONDS
    verdict = judge(history, at_webhook(receiver))
    verdict.require(duplicates_at_most=counts.database_crashes * UNSETTLED_PER_FAULT)
    for service in instances:
        assert service.process is not None
        assert service.process.poll() is None
        assert PASSWORD not in service.log.read_text()


def test_a_server_that_hangs_is_waited_for_five_seconds_and_then_answered_503(
    instances: list[Service], server: Server, receiver: Receiver, tmp_path: Path
) -> None:
    one = instances[0]
    one.start()
    assert one.post(event("before")) == 204
    stopped = [server.pid, *children(server.pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert one.post(event("hanging")) == 503
        assert time.monotonic() - began >= MAX_WAIT_SECONDS - 1
        assert time.monotonic() - began <= MAX_WAIT_SECONDS + SLOW_MACHINE_SECONDS
        headers = {"Authorization": authorization(), "Content-Type": "application/json"}
        status, fields, _ = one.request(
            "POST", "/track", b'{"event":{"user":{"userId":"u"}}}', headers
        )
        assert (status, "retry-after" in fields) == (503, True)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: one.post(event("hanging")) == 204, HEALED_AFTER_SECONDS)
    drain(server)
    assert len({request["key"] for request in receiver.requests()}) == 2


def test_it_starts_without_its_server_and_takes_events_when_that_is_there(
    instances: list[Service], server: Server, receiver: Receiver
) -> None:
    one = instances[0]
    server.stop()
    try:
        one.start()
        assert one.post(event("early")) == 503
        assert "the store cannot be reached: could not connect" in one.log.read_text()
        assert one.request("GET", "/ready")[0] == 503
    finally:
        server.start()
    wait_until(lambda: one.post(event("early")) == 204, HEALED_AFTER_SECONDS)
    wait_until(lambda: one.request("GET", "/ready")[0] == 200, HEALED_AFTER_SECONDS)
    assert PASSWORD not in one.log.read_text()
    assert one.stop() == 0


def test_a_database_that_is_made_anew_while_it_serves_takes_no_events(
    instances: list[Service], server: Server
) -> None:
    one = instances[0]
    one.start()
    assert one.post(event("first")) == 204
    server.query("DROP SCHEMA segmentstream CASCADE", "events")
    assert one.post(event("second")) == 503
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'events'")
    statuses = []

    def refused_for_its_tables() -> bool:
        """Each refusal logs its reason: the lost connection at first, then the missing tables."""
        statuses.append(one.post(event("third")))
        return "the store's tables are gone" in one.log.read_text()

    wait_until(refused_for_its_tables)
    assert set(statuses) == {503}


def test_what_cannot_work_is_refused_at_the_start_without_the_password(
    instances: list[Service], server: Server
) -> None:
    one, two = instances
    one.environ["STORE_PASSWORD"] = "wrong-and-secret"
    code, said = one.start_refused()
    assert code == 2
    assert "events: cannot be used: the server refused the credentials" in said
    assert "wrong-and-secret" not in said
    server.query("CREATE SCHEMA segmentstream CREATE TABLE mine (id int)", "events")
    code, said = two.start_refused()
    assert (code, "has a schema segmentstream of another program" in said) == (2, True)
    assert PASSWORD not in said


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    return [int(child) for child in text.split()]
