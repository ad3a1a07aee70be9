"""The log of the real service: what it tells, what it never does, and that it stays small."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.client import event
from tests.system.log_check import (
    CANARIES,
    CANARY,
    DOCUMENTED_EXAMPLE,
    IP,
    TOKEN,
    USER,
    WEBHOOK_SECRET,
    documented_events,
    lines_of,
    require_clean,
)
from tests.system.outbox import wait_until
from tests.system.receiver import Receiver, webhook
from tests.system.service import Service, authorization, free_port, raw_exchange, token_digest

LINES_A_MINUTE = 10
HEADERS = {"Authorization": authorization(), "Content-Type": "application/json"}
GOOD = {
    "time": "2026-11-23T17:37:34.773Z",
    "level": "info",
    "event": "server.message",
    "message": "Starting",
    "logger": "gunicorn.error",
    "pid": 1,
}
SHOWN = {
    "a token": f'"{TOKEN}"',
    "a token in base64": authorization(),
    "another token in base64": authorization(CANARY),
    "a token's digest": token_digest(TOKEN),
    "a secret": WEBHOOK_SECRET,
    "what a test made up": USER["email"],
    "a phone number": USER["phone"],
    "an IP address": IP,
    "a hit id": "hit-17",
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "some.log"


@pytest.mark.parametrize("name", CANARIES)
def test_the_check_fails_for_whatever_a_log_must_never_show(log: Path, name: str) -> None:
    leaked = SHOWN.get(name) or next(
        value for value in map(str, _leaves(DOCUMENTED_EXAMPLE)) if CANARIES[name].search(value)
    )
    log.write_text(f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, 'message': f'x {leaked} y'})}\n")
    with pytest.raises(AssertionError, match="the log shows"):
        require_clean(log)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("Traceback (most recent call last):", "is not JSON"),
        (json.dumps({**GOOD, "body": "x"}), "breaks schemas/log.json"),
        (json.dumps({**GOOD, "time": "17:37"}), "breaks schemas/log.json"),
        (json.dumps({"message": "x"}), "breaks schemas/log.json"),
        (json.dumps({**GOOD, "event": "nobody.knows"}), "not in docs/operations.md"),
    ],
)
def test_the_check_fails_for_a_line_that_is_not_as_documented(
    log: Path, line: str, complaint: str
) -> None:
    log.write_text(f"{json.dumps(GOOD)}\n{line}\n")
    with pytest.raises(AssertionError, match=complaint):
        require_clean(log)


def test_the_check_passes_what_is_right(log: Path) -> None:
    log.write_text(f"{json.dumps(GOOD)}\n")
    require_clean(log)
    assert len(documented_events()) > 20


def test_every_way_of_ending_a_service_has_its_log_checked(service: Service) -> None:
    service.configure({})
    service.start()
    with service.log.open("a") as log:
        log.write(f"{TOKEN}\n")
    for end in (service.kill_group, service.stop, service.start_refused, service.kill_everything):
        with pytest.raises(AssertionError, match="the log shows a token"):
            end()
        if end == service.stop:
            (service.folder / "segmentstream.toml").unlink()  # so that it cannot start
    service.log.unlink()


def test_a_request_id_is_the_proxys_and_in_the_answer_and_in_its_lines(service: Service) -> None:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.environ["SEGMENTSTREAM_ACCESS_LOG"] = "-"
    service.start()
    for status, body in ((400, b"{}"), (204, json.dumps(DOCUMENTED_EXAMPLE).encode())):
        name = f"proxy-{status}"
        headers = {**HEADERS, "X-Request-ID": name}
        assert service.request("POST", "/track", body, headers)[:2][0] == status
        assert service.request("POST", "/track", body, headers)[1]["x-request-id"] == name
    forged = b'a"}\\n{"level":"critical'
    answer = raw_exchange(service.port, b"GET / HTTP/1.1\r\nX-Request-ID: %b\r\n\r\n" % forged)
    assert b"critical" not in answer
    refused = raw_exchange(service.port, b"nonsense\r\n\r\n")
    service.stop()
    named = [each for each in lines_of(service.log) if each.get("request_id") == "proxy-400"]
    assert {each["event"] for each in named} == {"request.rejected", "request.answered"}
    (stranger,) = lines_of(service.log, "request.not_http")
    assert stranger["request_id"].encode() in refused


def test_a_flood_of_refused_requests_is_a_few_lines_and_their_number(service: Service) -> None:
    service.configure({})
    service.start()
    count = 300
    for _ in range(count):
        assert service.request("POST", "/track", b"{}", {"Authorization": authorization(CANARY)})[0]
    assert service.stop() == 0
    lines = [
        each for each in lines_of(service.log, "request.rejected") if each["code"] == "unauthorized"
    ]
    told = [each for each in lines if "suppressed" not in each]
    assert len(told) <= LINES_A_MINUTE * service.workers * 2  # a slow machine may need two minutes
    assert len(told) + sum(each.get("suppressed", 0) for each in lines) == count


def test_rejected_requests_are_told_by_code_and_place_alone(service: Service) -> None:
    service.configure({})
    service.environ["SEGMENTSTREAM_LOG_LEVEL"] = "debug"
    service.start()
    wrong = {"event": {"user": {"userId": 7}}, "integrations": {CANARY: CANARY}, "hitId": CANARY}
    assert service.request("POST", "/track", json.dumps(wrong).encode(), HEADERS)[0] == 400
    assert service.request("POST", "/track", CANARY.encode(), HEADERS)[0] == 400
    assert service.request("POST", f"/{CANARY}", b"", HEADERS)[0] == 404
    for broken in (
        CANARY,
        f"GET / HTTP/{CANARY}",
        f"GET / HTTP/1.1\r\n{CANARY}",
        f"GET / HTTP/1.1\r\nTransfer-Encoding: {CANARY}",
        f"GET / HTTP/1.1\r\nExpect: {CANARY}",
    ):
        assert b" 400 " in raw_exchange(service.port, f"{broken}\r\n\r\n".encode())
    begun = f"POST /track HTTP/1.1\r\nAuthorization: {authorization()}\r\nX-{CANARY}: "
    raw_exchange(service.port, begun.encode(), close_after=True)
    service.stop()
    lines = lines_of(service.log, "request.rejected")
    wanted = {"invalid_event", "invalid_json", "not_found"}
    assert wanted <= {each["code"] for each in lines}
    (line,) = [each for each in lines if each["code"] == "invalid_event"]
    assert line["pointers"] == ["/event/user", "/integrations"]


def test_destinations_that_fail_tell_no_key_however_they_fail(
    service: Service, new_receiver: Callable[..., Receiver]
) -> None:
    """Their keys are in URLs, headers and bodies, which the errors of libraries quote."""
    failing = new_receiver("failing", answer=lambda _count: 500)
    refusing = new_receiver("refusing", answer=lambda _count: 422)
    forbidding = new_receiver("forbidding", answer=lambda _count: 401)
    port = failing.port  # where nobody speaks TLS
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destinations = {
            "unreachable": webhook(free_port()),
            "failing": failing.as_webhook(),
            "refusing": refusing.as_webhook(),
            "forbidding": forbidding.as_webhook(),
            "hanging": webhook(silent.getsockname()[1], timeout_seconds=0.3),
            "plain": {"type": "webhook", "url": f"https://127.0.0.1:{port}/?key={CANARY}"},
            "nowhere": {"type": "webhook", "url": f"http://{CANARY}.invalid/?key={CANARY}"},
            "ga": {
                "type": "google-analytics",
                "measurement_id": "G-ABC1234567",
                "api_secret": CANARY,
                "base_url": f"http://127.0.0.1:{free_port()}",
            },
        }
        service.configure(destinations)
        service.environ["SEGMENTSTREAM_LOG_LEVEL"] = "debug"
        service.start()
        assert service.post(event("hit-1")) == 204

        def told() -> set[str]:
            return {each["destination"] for each in lines_of(service.log) if "destination" in each}

        wait_until(lambda: told() == set(destinations))
        assert service.stop() == 0
    events = {
        each["destination"]: each["event"]
        for each in lines_of(service.log)
        if each["event"].startswith("delivery.")
    }
    assert events == {
        "unreachable": "delivery.failed",
        "failing": "delivery.failed",
        "refusing": "delivery.rejected",
        "forbidding": "delivery.misconfigured",
        "hanging": "delivery.failed",
        "plain": "delivery.misconfigured",
        "nowhere": "delivery.misconfigured",
        "ga": "delivery.failed",
    }


@pytest.mark.parametrize(("arguments", "expected"), [([], 2), (["--preload"], 3)])
def test_a_start_that_is_refused_is_a_line_too(
    service: Service, arguments: list[str], expected: int
) -> None:
    service.configure({"crm": {"type": "webhook", "url": f"ftp://{CANARY}"}})
    code, said = service.start_refused(*arguments)
    assert code == expected
    last = json.loads(said.splitlines()[-1])
    assert (last["event"], last["level"]) == ("service.refused", "critical")
    assert "destinations.crm.url" in last["message"]


def test_deliver_logs_as_the_service_does(service: Service) -> None:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    service.start_deliver()
    wait_until(lambda: bool(lines_of(service.log, "deliver.started")))
    assert service.stop() == 0
    assert lines_of(service.log, "deliver.stopping")


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    return [value]
