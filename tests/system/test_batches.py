"""Batches of Segment's SDKs over real connections: chunks, kills, and what the log shows."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.system.checker import ACKNOWLEDGED, Answer, History, at_webhook, judge
from tests.system.counts import Counts
from tests.system.outbox import drain
from tests.system.receiver import Receiver
from tests.system.service import TOKEN, Service, authorization

CLIENTS = 4
BATCH = 25
RETRY_FOR_SECONDS = 60.0


class BatchClient(threading.Thread):
    """Sends batches, each of them again with the same message ids until it is answered 200."""

    def __init__(self, port: int, number: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self.sent: list[str] = []
        self.answers: list[Answer] = []
        self.defect: BaseException | None = None
        self._port = port
        self._number = number
        self._stopping = stopping

    def run(self) -> None:
        try:
            for batch in itertools.count():
                ids = [f"hit-{self._number}-{batch}-{each}" for each in range(BATCH)]
                self._send_until_taken(ids)
                if self._stopping.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            self.defect = error

    def _send_until_taken(self, ids: list[str]) -> None:
        deadline = time.monotonic() + RETRY_FOR_SECONDS
        self.sent += ids
        calls = [{"type": "track", "event": "A", "userId": "u", "messageId": each} for each in ids]
        calls.insert(BATCH // 2, {"type": "track", "messageId": "bad"})
        body = json.dumps({"writeKey": TOKEN, "batch": calls}).encode()
        while time.monotonic() < deadline:
            status, error = self._attempt(body)
            known = ACKNOWLEDGED if status == 200 else status
            self.answers += [Answer(each, known, error, 0.0) for each in ids]
            if status is not None and status < 500:
                return
            self._stopping.wait(0.1)

    def _attempt(self, body: bytes) -> tuple[int | None, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("POST", "/v1/batch", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, type(error).__name__
        finally:
            connection.close()
        if response.status == 200:
            assert [each["index"] for each in answer["rejected"]] == [BATCH // 2]
        return response.status, None


def test_kill_9_under_batches_loses_no_call_of_an_acknowledged_one(
    service: Service, receiver: Receiver, counts: Counts
) -> None:
    service.configure({"crm": receiver.as_webhook()})
    service.start()
    stopping = threading.Event()
    clients = [BatchClient(service.port, number, stopping) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(counts.worker_kills):
        time.sleep(random.uniform(0.2, 0.6))
        service.kill_a_worker()
    for _ in range(counts.group_kills):
        time.sleep(random.uniform(0.2, 0.6))
        service.kill_group()
        service.start()
    stopping.set()
    for client in clients:
        client.join(RETRY_FOR_SECONDS)
        assert not client.is_alive()
        assert client.defect is None, repr(client.defect)
    drain(service.store)

    history = History(
        [each for client in clients for each in client.sent],
        [each for client in clients for each in client.answers],
    )
    assert history.statuses() == {ACKNOWLEDGED}
    assert len(history.acknowledged) >= CLIENTS * BATCH
    kills = counts.worker_kills + counts.group_kills * service.workers
    verdict = judge(history, at_webhook(receiver))
    verdict.require(duplicates_at_most=kills * 2 * CLIENTS * BATCH)


@pytest.fixture
def running(service: Service) -> Service:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    return service


@pytest.fixture
def exchange(running: Service) -> Callable[[bytes], bytes]:
    """Sends bytes on a new connection, says that there are no more, and reads to the end."""

    def exchange(request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    return exchange


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    head = (
        "POST /v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {authorization()}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    return head.encode() + body + last


CALL = b'{"batch": [{"type": "track", "event": "A", "userId": "u", "messageId": "m"}]}'


def test_a_chunked_body_is_read_to_its_end(
    exchange: Callable[[bytes], bytes], running: Service
) -> None:
    answer = exchange(chunked(CALL[:7], CALL[7:]))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'{"success": true}')
    assert len((running.folder / "events.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("last", [b"", b"xyz\r\n", b"5\r\nab"])
def test_one_that_breaks_off_is_400(
    exchange: Callable[[bytes], bytes], running: Service, last: bytes
) -> None:
    assert exchange(chunked(CALL, last=last)).startswith(b"HTTP/1.1 400 ")
    assert not (running.folder / "events.jsonl").exists()


def test_one_without_end_is_413(exchange: Callable[[bytes], bytes]) -> None:
    many = [b" " * 65_536] * 17
    assert exchange(chunked(*many)).startswith(b"HTTP/1.1 413 ")


def test_no_key_is_in_the_access_log(running: Service) -> None:
    running.stop()
    running.start("--access-logfile", "-")
    for path in (f"/v1/projects/{TOKEN}/settings", f"/sourceConfig/?writeKey={TOKEN}"):
        status, *_ = running.request("GET", path)
        assert status == 200
    running.stop()  # the log is searched for the token
    assert "/v1/projects/(key)/settings" in running.log.read_text()
