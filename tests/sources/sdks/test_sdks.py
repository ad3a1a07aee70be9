"""Real SDKs, unmodified, against the real service, and against each answer that it may give."""

from __future__ import annotations

import gzip
import json
import sqlite3
import threading

import pytest

from segmentstream_api.sources.segment.answers import problem
from segmentstream_api.testing import Peer, answer
from tests.sources.sdks.installed import SDKS, install
from tests.system.service import TOKEN, Service

NAMES = {
    "Updated Profile Info",
    "Completed Transaction",
    "Viewed Page",
    "Viewed Screen",
    "Joined Group",
    "Merged User",
}


@pytest.fixture(scope="module", params=SDKS, ids=lambda sdk: sdk.requirement)
def sdk(request, tmp_path_factory):
    return install(request.param, tmp_path_factory.mktemp("sdk") / "installed")


@pytest.fixture
def service(tmp_path):
    service = Service(tmp_path)
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    yield service
    service.kill_everything()


def stored(service):
    return [json.loads(line) for line in (service.folder / "events.jsonl").read_text().splitlines()]


def test_every_call_arrives_once_as_the_right_event(sdk, service):
    errors = sdk.call_once(f"http://127.0.0.1:{service.port}", TOKEN)
    assert errors == []
    events = stored(service)
    by_name = {each["event"]["name"]: each["event"] for each in events}
    assert len(events) == len(by_name) == len(NAMES)
    assert by_name.keys() == NAMES
    assert all(each["event"]["user"]["userId"] == "u-1" for each in events)
    assert by_name["Updated Profile Info"]["user"]["email"] == "a@example.com"
    assert by_name["Completed Transaction"]["transaction"] == {
        "orderId": "O-1",
        "currency": "USD",
        "subtotal": 25.5,
        "total": 25.5,
        "lineItems": [
            {"product": {"id": "p1", "unitPrice": 10, "unitSalePrice": 10}, "quantity": 2}
        ],
    }
    assert by_name["Viewed Page"]["page"]["url"] == "https://shop.example.com/p"
    assert by_name["Viewed Screen"]["screen"] == {"name": "Main", "a": 1} | (
        {"category": "Home"} if sdk.sdk.is_python else {}
    )
    assert by_name["Joined Group"]["group"] == {"id": "g-1", "traits": {"name": "Acme"}}
    assert by_name["Merged User"]["previousId"] == "anon-1"
    for file in service.folder.iterdir():
        if file.name != "segmentstream.toml":
            assert TOKEN.encode() not in file.read_bytes(), file


def test_an_unknown_key_is_told_and_nothing_is_stored(sdk, service):
    sdk.call_once(f"http://127.0.0.1:{service.port}", "unknown")
    assert not (service.folder / "events.jsonl").exists()


def test_nothing_is_lost_or_doubled_while_the_store_is_locked(sdk, service):
    """The first answers are 503."""
    lock = sqlite3.connect(service.store, isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.0, lock.close)

    def after_a_503():
        while '"status": 503' not in service.log.read_text():
            if done.wait(0.05):
                return
        release.start()

    done = threading.Event()
    watching = threading.Thread(target=after_a_503)
    watching.start()
    try:
        sdk.call_once(f"http://127.0.0.1:{service.port}", TOKEN)
    finally:
        done.set()
        watching.join()
    assert sorted(each["event"]["name"] for each in stored(service)) == sorted(NAMES)


def refusal(status, code):
    body = problem({"title": "t", "status": status, "detail": "d", "code": code})
    return json.dumps(body).encode()


def messages(received):
    """The message ids of one request."""
    body = received.body
    if received.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return [each["messageId"] for each in json.loads(body)["batch"]]


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_event"), (401, "unauthorized")])
def test_a_refusal_is_final(sdk, status, code):
    with Peer(answer(f"{status} Refused", refusal(status, code))) as peer:
        sdk.call_once(peer.url, TOKEN)
        sent = [each for received in peer.received for each in messages(received)]
    assert len(sent) == len(set(sent)) == len(NAMES)


@pytest.mark.parametrize(("status", "code"), [(429, "too_many_requests"), (503, "unavailable")])
def test_an_answer_that_asks_for_patience_brings_the_same_messages_again(sdk, status, code):
    later = answer(f"{status} Later", refusal(status, code), Retry_After="1")
    taken = answer("200 OK", b'{"success": true}', Content_Type="application/json")
    seen: list[list[str]] = []

    def reply(received):
        seen.append(messages(received))
        return [later if len(seen) == 1 else taken]

    with Peer(reply) as peer:
        sdk.call_once(peer.url, TOKEN)
    assert seen[0] in seen[1:]
    accepted = [each for batch in seen[1:] for each in batch]
    assert len(accepted) == len(set(accepted)) == len(NAMES)
