"""nginx in front, under load: slow clients, reloads, restarts and kills."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.checker import History, at_webhook, in_file, judge
from tests.system.client import event
from tests.system.counts import Counts
from tests.system.load import under_load
from tests.system.nginx import Nginx, needs_nginx
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Receiver
from tests.system.service import Service, authorization, connected
from tests.system.systemd import Activated

pytestmark = [needs_nginx, pytest.mark.serial]

ARCHIVE = {"type": "file", "path": "events.jsonl"}
CLIENTS = 6
SLOW = 500
HEAD = (
    "POST /track HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    f"Authorization: {authorization()}\r\nContent-Length: 60000\r\n"
).encode()
LARGE_PAGE = b"GET /docs/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path / "nginx")
    yield nginx
    nginx.stop()


def start(service: Service, nginx: Nginx) -> None:
    service.start("--bind", f"unix:{nginx.upstream}")
    nginx.start()


def is_open(connection: ssl.SSLSocket | socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def trickle(connections: list[socket.socket], stopping: threading.Event) -> None:
    """Another byte on each of them, every second."""
    while not stopping.wait(1):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(b"x")


def test_500_slow_sockets_keep_nobody_waiting(
    service: Service, nginx: Nginx, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE})
    start(service, nginx)
    stopping = threading.Event()
    with contextlib.ExitStack() as stack:
        folders = stack.enter_context(
            under_load(nginx, tmp_path, clients=4, tls=nginx.tls, pause_seconds=0.02)
        )

        def slow(count: int, first: bytes) -> list[socket.socket]:
            made = []
            for _ in range(count):
                made.append(stack.enter_context(connected(nginx.port, nginx.tls)))
                made[-1].sendall(first)
                made[-1].setblocking(False)
            return made

        never_read = slow(SLOW // 5, LARGE_PAGE)
        headers = slow(SLOW // 5, b"POST /track HTTP/1.1\r\nX-Slow: ")
        bodies = slow(SLOW // 5, HEAD + b"\r\n{")
        trickling = threading.Thread(target=trickle, args=(headers + bodies, stopping))
        trickling.start()
        stack.callback(trickling.join)
        stack.callback(stopping.set)
        stalled = slow(2 * SLOW // 5, HEAD + b"\r\n" + b"{" * 59_000)
        assert len(never_read + headers + bodies + stalled) == SLOW

        answered = 0
        while is_open(stalled[-1]) and answered < 100:
            body = json.dumps(event(f"live-{answered}")).encode()
            assert nginx.track(body)[0] == 204
            answered += 1
        assert answered > 10  # while they all were there
        # Trickled bodies may go on: they cost nobody anything.
        wait_until(lambda: not any(map(is_open, headers + stalled)), 60, what="nginx to hang up")
    assert set(History.read(*folders).outcomes()) == {204}


def test_no_request_fails_while_the_service_is_reloaded(
    service: Service, nginx: Nginx, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
    start(service, nginx)
    with under_load(nginx, tmp_path, clients=CLIENTS, tls=nginx.tls) as folders:
        for _ in range(counts.reloads):
            time.sleep(0.2)
            service.reload()
    drain(service.store)
    history = History.read(*folders)
    assert set(history.outcomes()) == {204}
    judge(history, at_webhook(receiver)).require()
    judge(history, in_file(service.folder / "events.jsonl")).require()


def test_no_request_fails_while_nginx_is_reloaded(
    service: Service, nginx: Nginx, counts: Counts, tmp_path: Path
) -> None:
    """It hangs up kept connections between two requests; whoever is just sending gets no answer."""
    service.configure({"archive": ARCHIVE})
    start(service, nginx)
    with under_load(nginx, tmp_path, clients=CLIENTS, tls=nginx.tls) as (kept, new):
        for _ in range(counts.reloads):
            time.sleep(0.5)
            nginx.reload()
        time.sleep(0.2)
    assert set(History.read(new).outcomes()) == {204}
    hung_up = [answer for answer in History.read(kept).answers if answer.status != 204]
    assert {answer.status for answer in hung_up} <= {None}
    assert len(hung_up) <= counts.reloads * CLIENTS // 2
    judge(History.read(kept, new), in_file(service.folder / "events.jsonl")).require()


def test_no_request_fails_while_the_service_is_restarted(
    nginx: Nginx, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    """Stopped and started again: requests wait in the sockets, which somebody else holds."""
    (tmp_path / "service").mkdir()
    service = Activated(tmp_path / "service", nginx.upstream)
    try:
        service.configure({"archive": ARCHIVE, "crm": receiver.as_webhook()})
        service.start()
        nginx.start()
        with under_load(nginx, tmp_path, clients=CLIENTS, tls=nginx.tls) as folders:
            for _ in range(counts.reloads):
                time.sleep(0.3)
                assert service.stop() == 0
                time.sleep(0.3)
                service.start()
            time.sleep(0.3)
        drain(service.store)
        history = History.read(*folders)
        assert set(history.outcomes()) == {204}
        judge(history, at_webhook(receiver)).require()
        judge(history, in_file(service.folder / "events.jsonl")).require()
        assert "Post an event" not in service.log.read_text()
    finally:
        service.kill_everything()


def test_a_killed_worker_costs_what_it_was_working_on_and_nothing_is_sent_twice_or_lost(
    service: Service,
    nginx: Nginx,
    new_receiver: Callable[..., Receiver],
    counts: Counts,
    tmp_path: Path,
) -> None:
    receiver = new_receiver()
    service.configure({"crm": receiver.as_webhook()})
    start(service, nginx)
    with under_load(nginx, tmp_path, clients=CLIENTS, tls=nginx.tls) as folders:
        for _ in range(counts.worker_kills):
            time.sleep(random.uniform(0.2, 0.6))
            service.kill_a_worker()
        time.sleep(0.3)
    drain(service.store)
    history = History.read(*folders)
    assert history.statuses() <= {204, 502}
    outcomes = history.outcomes()
    assert set(outcomes) <= {204, 502}
    assert outcomes[502] <= counts.worker_kills * CLIENTS
    # What was being sent to the destination is sent again, with the same key.
    judge(history, at_webhook(receiver)).require(
        duplicates_at_most=counts.worker_kills * 2 * CLIENTS
    )
    # Each was sent until it was taken, but those that the end found between two attempts.
    assert len(history.sent - history.acknowledged) <= CLIENTS
    attempts = [json.loads(line) for line in nginx.access_log.read_text().splitlines()]
    assert {line["service"] for line in attempts} <= {
        "204",
        "502",
        "",
    }  # one each: never "502, 204"
    posts = sum(line["method"] == "POST" for line in attempts)
    assert posts == len(history.answers)
