"""Metrics and readiness of a real service: what it counts is what clients and destinations saw."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.client import event
from tests.system.counts import Counts
from tests.system.faults import fill, locked
from tests.system.load import Load
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Receiver
from tests.system.scraper import Scraper, scrape
from tests.system.service import Service, authorization, raw_exchange

pytestmark = pytest.mark.serial

ARCHIVE = {"type": "file", "path": "events.jsonl"}
REQUESTS = "segmentstream_requests_total"
EVENTS = "segmentstream_events_total"
DELIVERIES = "segmentstream_deliveries_total"

AUTHORIZED = {"Authorization": authorization(), "Content-Type": "application/json"}
REFUSED: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("POST", "/track", b"{", AUTHORIZED),
    ("POST", "/track", b"{}", AUTHORIZED),
    (
        "POST",
        "/track",
        json.dumps(event("x")).encode(),
        AUTHORIZED | {"Content-Type": "text/plain"},
    ),
    ("POST", "/track", b" " * 65_537, AUTHORIZED),
    ("POST", "/track", b"{}", {}),
    ("PUT", "/track", b"{}", AUTHORIZED),
    ("POST", "/made-up", b"{}", AUTHORIZED),
]


@contextmanager
def refused(service: Service) -> Iterator[Counter[tuple[str, str, str]]]:
    """Posts what is refused until its end; counts path, status and code of each answer."""
    answers: Counter[tuple[str, str, str]] = Counter()
    stopping = threading.Event()
    defects = []

    def run() -> None:
        try:
            while not stopping.wait(0.005):
                for method, path, body, headers in REFUSED:
                    status, _, problem = service.request(method, path, body, headers)
                    known = path if path == "/track" else "other"
                    answers[known, str(status), json.loads(problem)["code"]] += 1
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            defects.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        thread.join(60)
    assert not defects, defects


def test_under_load_and_reloads_the_totals_are_what_clients_and_destinations_saw(
    service: Service, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    service.workers = 3
    service.environ["WEB_CONCURRENCY"] = "3"
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook(timeout_seconds=5)})
    service.start()

    def twice(client: int, number: int) -> str:
        return f"hit-{client}-{number // 2}"

    with (
        Scraper(service) as scraper,
        refused(service) as problems,
        Load(service.port, tmp_path / "known", hit_id=twice, pause_seconds=0.005) as known,
        Load(
            service.port, tmp_path / "strange", clients=2, token="wrong", pause_seconds=0.01
        ) as strange,
    ):
        for _ in range(counts.reloads):
            time.sleep(0.7)
            service.reload()
        time.sleep(0.5)
    assert scraper.pages > 10
    assert scraper.unanswered == 0

    acknowledged = known.history().outcomes()
    assert set(acknowledged) == {204}
    assert set(strange.history().outcomes()) == {401}
    expected = problems.copy()
    expected["/track", "401", "unauthorized"] += len(strange.history().answers)
    for _ in range(3):
        assert b"400 Bad Request" in raw_exchange(service.port, b"not HTTP at all\r\n\r\n")
    expected["other", "400", "bad_request"] += 3
    drain(service.store)
    wait_until(
        lambda: (
            scrape(service).by("outcome", DELIVERIES, destination="crm")["delivered"]
            == len(receiver.requests())
        )
    )
    page = scrape(service)
    assert page.by("status", REQUESTS)["204"] == acknowledged[204]
    for (path, status, code), count in expected.items():
        assert page.value(REQUESTS, path=path, status=status, code=code) == count
    assert page.by("status", REQUESTS).total() == acknowledged.total() + expected.total()
    assert {code for _, _, code in expected} >= {"invalid_json", "unauthorized", "not_found"}

    hit_ids = [answer.hit_id for answer in known.history().answers]
    new = len(set(hit_ids))
    assert page.by("acceptance", EVENTS) == {"new": new, "duplicate": len(hit_ids) - new}
    # Most duplicates are known without a commit, but not those that come to another worker.
    assert new <= page.value("segmentstream_commit_events_sum") <= len(hit_ids)
    assert page.by("outcome", DELIVERIES, destination="crm") == {"delivered": new}
    assert page.by("outcome", DELIVERIES, destination="archive") == {"delivered": new}
    assert page.value("segmentstream_delivery_seconds_count", destination="crm") == len(
        receiver.requests()
    )
    wait_until(lambda: scrape(service).value(WAITING, destination="crm") == 0)


WAITING = "segmentstream_outbox_waiting"


def test_totals_survive_killed_workers_and_count_every_answer_that_was_given(
    service: Service, counts: Counts, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE})
    service.start()
    with (
        Scraper(service) as scraper,
        Load(service.port, tmp_path / "clients", pause_seconds=0.002) as load,
    ):
        for _ in range(counts.worker_kills):
            time.sleep(0.5)
            killed = service.worker_pids()[0]
            os.kill(killed, signal.SIGKILL)
            wait_until(
                lambda: len(set(service.worker_pids()) - {killed}) == service.workers  # noqa: B023 - called at once
            )
    assert scraper.pages > 10
    outcomes = load.history().outcomes()
    page = scrape(service)
    # An answer is counted before it is sent: one that was not received may be among them.
    lost = outcomes.total() - outcomes[204]
    assert outcomes[204] <= page.value(REQUESTS, path="/track", status="204", code="")
    assert page.by("status", REQUESTS).total() <= outcomes[204] + lost
    folder = metrics_folder(service)
    assert len(list(folder.glob("*.db"))) <= 2 * (service.workers + 2)  # main process and sum


def metrics_folder(service: Service) -> Path:
    (pid, *_) = service.worker_pids()
    environ = Path(f"/proc/{pid}/maps").read_text()
    (folder,) = {
        Path(line.split()[-1]).parent for line in environ.splitlines() if line.endswith(".db")
    }
    return folder


def test_the_folder_of_the_metrics_goes_with_the_service(service: Service) -> None:
    service.configure({"archive": ARCHIVE})
    service.start()
    assert service.post(event("a")) == 204
    first = metrics_folder(service)
    service.reload()
    assert service.post(event("b")) == 204
    assert metrics_folder(service) == first
    service.kill_group()
    service.start()
    assert not first.exists()
    assert service.post(event("c")) == 204
    second = metrics_folder(service)
    assert scrape(service).by("acceptance", EVENTS) == {"new": 1}
    assert service.stop() == 0
    assert not second.exists()


def ready(service: Service) -> tuple[int, list[str]]:
    status, _, body = service.request("GET", "/ready")
    return status, [finding["id"] for finding in json.loads(body)["findings"]]


def healthy(service: Service) -> bool:
    return service.request("GET", "/health")[0] == 200


def red(service: Service, *findings: str) -> bool:
    status, found = ready(service)
    return status == 503 and set(found) <= set(findings)


def green(service: Service) -> bool:
    return ready(service) == (200, [])


def see_it_red_and_green_again(service: Service, *findings: str, mend: Callable[[], Any]) -> None:
    """Every worker notices both; the process is healthy all the while."""
    wait_until(lambda: all(red(service, *findings) for _ in range(8)))
    assert healthy(service)
    page = scrape(service)
    assert page.by("finding", "segmentstream_not_ready").keys() <= set(findings)
    mend()
    wait_until(lambda: all(green(service) for _ in range(8)))
    assert healthy(service)
    assert service.post(event(f"after-{findings[0]}")) == 204


def test_ready_is_red_at_the_disk_floor_until_there_is_space(service: Service, disk: Path) -> None:
    service.configure(
        {"archive": ARCHIVE},
        store={"url": f"sqlite:///{disk}/segmentstream.db", "disk_floor_megabytes": 1},
    )
    service.start()
    assert green(service)
    filler = fill(disk)
    see_it_red_and_green_again(service, "disk_floor", mend=filler.unlink)


def test_ready_is_red_while_another_program_locks_the_database(service: Service) -> None:
    service.configure({"archive": ARCHIVE})
    service.start()
    assert green(service)
    lock = locked(service.store)
    lock.__enter__()
    see_it_red_and_green_again(
        service,
        "store_unavailable",
        "store_slow",
        mend=lambda: lock.__exit__(None, None, None),
    )


def test_ready_is_red_while_the_database_is_gone(service: Service) -> None:
    service.configure({"archive": ARCHIVE})
    service.start()
    assert green(service)
    aside = service.store.rename(service.folder / "aside.db")
    see_it_red_and_green_again(service, "store_unusable", mend=lambda: aside.rename(service.store))


def test_a_destination_that_is_down_and_a_queue_leave_ready_green(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
    service.start()
    receiver.close()
    with Load(service.port, tmp_path / "clients", events=10) as load:
        load.wait()

    def is_seen() -> bool:
        page = scrape(service)
        return (
            page.value("segmentstream_breaker_open", destination="crm") == 1
            and page.value(WAITING, destination="crm") == 60
            and page.value("segmentstream_outbox_oldest_age_seconds", destination="crm") > 0
        )

    wait_until(is_seen)
    page = scrape(service)
    assert page.value("segmentstream_breaker_open", destination="archive") == 0
    assert page.by("outcome", DELIVERIES, destination="crm").keys() == {"retry"}
    for _ in range(8):
        assert green(service)
        assert healthy(service)


def test_the_page_is_there_when_the_store_is_not(service: Service) -> None:
    service.configure({"archive": ARCHIVE})
    service.start()
    assert service.post(event("a")) == 204
    service.store.unlink()
    service.reload()  # the new workers cannot open it
    page = scrape(service)
    assert page.value("segmentstream_store_up") == 0
    assert WAITING not in page.names()
    assert page.by("acceptance", EVENTS) == {"new": 1}
    assert healthy(service)
