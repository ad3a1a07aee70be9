"""A stranger posts the documented example and finds it at the destinations."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.system.log_check import CANARY, WEBHOOK_SECRET, lines_of
from tests.system.receiver import Receiver
from tests.system.service import DOCUMENTED_EXAMPLE, Service

pytestmark = pytest.mark.serial


def eventually(condition: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def with_file_and_webhook(service: Service, receiver: Receiver) -> Path:
    service.configure(
        {
            "archive": {"type": "file", "path": "events.jsonl"},
            "crm": {"type": "webhook", "url": receiver.url, "secret": WEBHOOK_SECRET},
        }
    )
    return service.folder / "events.jsonl"


def test_the_documented_example_is_in_the_file_and_at_the_webhook_when_204_comes(
    service: Service, receiver: Receiver
) -> None:
    archive = with_file_and_webhook(service, receiver)
    service.start()

    assert service.post(DOCUMENTED_EXAMPLE) == 204

    (envelope,) = lines(archive)
    assert envelope["event"] == DOCUMENTED_EXAMPLE["event"]
    assert envelope["context"] == DOCUMENTED_EXAMPLE["context"]
    assert envelope["hitId"] == DOCUMENTED_EXAMPLE["hitId"]
    assert envelope["sentAt"] == DOCUMENTED_EXAMPLE["sentAt"]
    assert envelope["project"] == "shop"
    (request,) = receiver.requests()
    assert json.loads(request["body"]) == envelope
    signed = Webhook(WEBHOOK_SECRET)
    signed.verify(request["body"], request["headers"])  # raises if the signature is wrong


def test_a_hundred_concurrent_posts_of_one_hit_id_are_acknowledged_and_delivered_once(
    service: Service, receiver: Receiver
) -> None:
    archive = with_file_and_webhook(service, receiver)
    service.start()
    statuses = []
    together = threading.Barrier(100)

    def post() -> None:
        together.wait()
        statuses.append(service.post(DOCUMENTED_EXAMPLE))

    threads = [threading.Thread(target=post) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [204] * 100
    eventually(lambda: len(receiver.requests()) >= 1)
    assert service.stop() == 0
    assert len(lines(archive)) == 1
    assert len(receiver.requests()) == 1


def test_a_hit_id_is_remembered_over_a_restart(service: Service, receiver: Receiver) -> None:
    archive = with_file_and_webhook(service, receiver)
    service.start()
    assert service.post(DOCUMENTED_EXAMPLE) == 204
    assert service.stop() == 0
    service.start()
    assert service.post(DOCUMENTED_EXAMPLE) == 204
    assert service.stop() == 0
    assert len(lines(archive)) == 1
    assert len(receiver.requests()) == 1


def test_what_a_push_left_behind_is_delivered_when_the_destination_is_back(
    service: Service, tmp_path: Path
) -> None:
    first = Receiver(tmp_path / "received.jsonl")
    archive = with_file_and_webhook(service, first)
    first.close()
    service.start()
    assert service.post(DOCUMENTED_EXAMPLE) == 204
    assert len(lines(archive)) == 1
    back = Receiver(tmp_path / "received.jsonl", port=first.port)
    try:
        eventually(lambda: len(back.requests()) == 1)
        assert json.loads(back.requests()[0]["body"]) == lines(archive)[0]
    finally:
        back.close()


def test_the_log_of_requests_shows_no_token_and_no_body(
    service: Service, receiver: Receiver
) -> None:
    with_file_and_webhook(service, receiver)
    service.environ["SEGMENTSTREAM_ACCESS_LOG"] = "-"
    service.start()
    event = {"name": CANARY, "user": {"userId": CANARY}, "label": CANARY}
    assert service.post({"hitId": CANARY, "event": event}) == 204
    assert service.post({"hitId": CANARY, "event": {"name": CANARY}}) == 400
    assert service.post({"hitId": CANARY, "event": {**event, "label": "other"}}) == 204
    query = {"Authorization": "Basic YWJjMTIzOg=="}
    assert service.request("POST", f"/track?token={CANARY}", b"{}", query)[0] == 400
    assert service.stop() == 0
    answered = lines_of(service.log, "request.answered")  # and `stop` looked for all the rest
    assert ("POST", "/track", 204) in {
        (each["method"], each["path"], each["status"]) for each in answered
    }
    assert {each["path"] for each in answered} == {"/health", "/track"}
