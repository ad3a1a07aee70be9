"""Stops and reloads, as an operator and a supervisor ask for them: nobody gets hurt."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.checker import History, at_webhook, in_file, judge
from tests.system.client import event
from tests.system.counts import Counts
from tests.system.load import Load, post_all, under_load
from tests.system.log_check import CANARY
from tests.system.outbox import drain, wait_until, waiting
from tests.system.receiver import Receiver
from tests.system.service import TOKEN, Service, token_digest

pytestmark = pytest.mark.serial

OLD, BOTH, NEW = (f"{name}-{CANARY}" for name in ("old", "both", "new"))
ARCHIVE = {"type": "file", "path": "events.jsonl"}


def received(receiver: Receiver) -> set[str]:
    return {arrival.hit_id for arrival in at_webhook(receiver)}


def test_requests_in_flight_are_finished_at_a_sigterm(service: Service, receiver: Receiver) -> None:
    service.configure({"crm": receiver.as_webhook(timeout_seconds=5)})
    receiver.delay_seconds = 1.0
    service.start()
    statuses = []
    threads = [
        threading.Thread(target=lambda n=n: statuses.append(service.post(event(f"hit-{n}"))))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(receiver.requests()) == 4)
    assert service.stop() == 0
    for thread in threads:
        thread.join()
    assert statuses == [204] * 4
    assert waiting(service.store) == 0


def test_a_restart_under_load_loses_nothing_and_repeats_nothing(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
    service.start()
    with under_load(service, tmp_path) as folders:
        time.sleep(0.5)
        assert service.stop() == 0
        service.start()
        time.sleep(0.5)
    drain(service.store, timeout_seconds=5)  # no lease has to run out
    history = History.read(*folders)
    assert history.statuses() == {204}
    judge(history, at_webhook(receiver)).require()
    judge(history, in_file(service.folder / "events.jsonl")).require()


def test_what_a_stopping_service_has_not_sent_is_handed_back(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    """Whoever starts next sends it at once, without waiting for a lease of 25 s to end."""
    service.configure(
        {"crm": {**receiver.as_webhook(timeout_seconds=10), "concurrency": 1}},
        delivery={"push_budget_seconds": 0.2},
    )
    receiver.delay_seconds = 1.0
    service.start()
    with Load(service.port, tmp_path / "clients", clients=6, events=5) as load:
        load.wait()
    assert service.stop() == 0
    assert waiting(service.store) > 5
    receiver.delay_seconds = 0.0
    service.start()
    drain(service.store, timeout_seconds=10)
    judge(load.history(), at_webhook(receiver)).require()


def test_no_request_fails_while_the_service_is_reloaded_again_and_again(
    service: Service, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
    service.start()
    with under_load(service, tmp_path) as folders:
        for _ in range(counts.reloads):
            time.sleep(0.2)
            service.reload()
    drain(service.store)
    history = History.read(*folders)
    assert set(history.outcomes()) == {204}
    judge(history, at_webhook(receiver)).require()
    judge(history, in_file(service.folder / "events.jsonl")).require()


@pytest.mark.parametrize("arguments", [[], ["--preload"]])
def test_a_reload_brings_a_new_token_and_a_new_destination(
    service: Service, new_receiver: Callable[..., Receiver], arguments: list[str]
) -> None:
    first, second = new_receiver("first"), new_receiver("second")
    service.configure({"first": first.as_webhook()}, tokens=[OLD, BOTH])
    service.start(*arguments)
    assert service.post(event("a"), token=OLD) == 204
    service.configure(
        {"first": first.as_webhook(), "second": second.as_webhook()}, tokens=[BOTH, NEW]
    )
    assert service.post(event("b"), token=NEW) == 401
    service.reload()
    assert service.post(event("c"), token=OLD) == 401
    assert service.post(event("d"), token=NEW) == 204
    assert service.post(event("e"), token=BOTH) == 204
    assert received(first) == {"a", "d", "e"}
    assert received(second) == {"d", "e"}


def test_a_broken_configuration_is_reported_at_a_reload_and_changes_nothing(
    service: Service, receiver: Receiver
) -> None:
    service.configure({"crm": {**receiver.as_webhook(), "secret": CANARY}})
    service.start()
    configuration = service.folder / "segmentstream.toml"
    good = configuration.read_text("utf-8")
    broken = {
        "projects.shop.tokens.0: ": good.replace(token_digest(TOKEN), CANARY),
        "destinations.crm.url: ": good.replace(receiver.url, f"ftp://{CANARY}"),
        "is not TOML": f"{good}\nsecret = '{CANARY}",
        "It cannot be used: RecursionError": f"{'.'.join('a' * 3000)} = 1\n{good}",
    }
    for number, (complaint, text) in enumerate(broken.items()):
        configuration.write_text(text, "utf-8")
        service.reload()
        assert complaint in service.log.read_text()
        assert service.post(event(f"hit-{number}")) == 204
    configuration.unlink()
    service.reload()
    assert "cannot be read: No such file or directory" in service.log.read_text()
    assert service.post(event("last")) == 204
    assert received(receiver) == {"hit-0", "hit-1", "hit-2", "hit-3", "last"}
    assert service.log.read_text().count("the configuration was not reloaded") == len(broken) + 1


@pytest.mark.parametrize("arguments", [[], ["--preload"]])
def test_a_configuration_that_is_read_and_cannot_be_used_changes_nothing_at_a_reload(
    service: Service, receiver: Receiver, arguments: list[str]
) -> None:
    service.configure({"crm": receiver.as_webhook()})
    service.start(*arguments)
    configuration = service.folder / "segmentstream.toml"
    good = configuration.read_text("utf-8")
    with_nul = good.replace("[store]", '[store]\nurl = "sqlite:///a\\u0000b"', 1)
    assert with_nul != good
    configuration.write_text(with_nul, "utf-8")
    service.reload()
    assert "the configuration was not reloaded" in service.log.read_text()
    assert service.post(event("after")) == 204
    assert received(receiver) == {"after"}


def test_a_removed_destination_keeps_its_events_until_it_is_configured_again(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    # It takes one event in a second, so that the others wait when it is removed.
    receiver.delay_seconds = 1.0
    crm = {**receiver.as_webhook(timeout_seconds=5), "concurrency": 1}
    service.configure({"archive": ARCHIVE, "crm": crm}, delivery={"push_budget_seconds": 0.1})
    service.start()
    post_all(service.port, tmp_path / "before", [f"hit-{number}" for number in range(10)])
    service.configure({"archive": ARCHIVE})
    service.reload()
    assert "events wait for destination crm, which is not configured" in service.log.read_text()
    left = waiting(service.store, "crm")
    assert left > 0
    without = post_all(service.port, tmp_path / "without", ["another"])
    wait_until(lambda: waiting(service.store) == left)
    receiver.delay_seconds = 0.0
    service.configure({"archive": ARCHIVE, "crm": crm})
    service.reload()
    drain(service.store)
    judge(History.read(tmp_path / "before"), at_webhook(receiver)).require()
    assert without.acknowledged == {"another"}
    assert not judge(without, in_file(service.folder / "events.jsonl")).lost


def test_workers_forked_from_a_loaded_application_open_the_store_themselves(
    service: Service, receiver: Receiver, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
    service.start("--preload")
    with Load(service.port, tmp_path / "clients", events=20) as load:
        load.wait()
    drain(service.store, timeout_seconds=5)
    assert set(load.history().outcomes()) == {204}
    judge(load.history(), at_webhook(receiver)).require()
    judge(load.history(), in_file(service.folder / "events.jsonl")).require()
    holders = [pid for pid in service.worker_pids() if holds(pid, service.store)]
    assert holders == service.worker_pids()
    assert service.process is not None
    assert not holds(service.process.pid, service.store)


def holds(pid: int, path: Path) -> bool:
    """Whether the process has the file open."""
    descriptors = Path(f"/proc/{pid}/fd").iterdir()
    return str(path) in {os.path.realpath(descriptor) for descriptor in descriptors}
