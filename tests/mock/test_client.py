from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from segmentstream_api.mock.client import TrackingApi, running
from tests.commands.folder import until
from tests.system.service import DOCUMENTED_EXAMPLE, TOKEN

NO_USER = {"event": {"name": "Registered"}}


@pytest.fixture(scope="module")
def server():
    with running("--token", TOKEN) as api:
        yield api


@pytest.fixture
def api(server: TrackingApi) -> TrackingApi:
    server.reset()
    return server


def post(api: TrackingApi, document, token=TOKEN, **options) -> int:
    with requests.Session() as session:
        session.trust_env = False
        sent = session.post(
            f"{api.url}/track", json=document, auth=(token, ""), timeout=30, **options
        )
    return sent.status_code


def event(name: str, **more):
    return {"event": {"name": name, "user": {"userId": "u-1"}, **more}}


def test_accepted_events_are_there_in_order_with_their_defaults(api):
    assert [post(api, event(name)) for name in ("a", "b")] == [204, 204]
    assert post(api, DOCUMENTED_EXAMPLE) == 204
    assert [each["event"]["name"] for each in api.accepted] == ["a", "b", "Registered"]
    assert api.accepted[0].keys() >= {"hitId", "sentAt", "receivedAt", "project"}
    assert api.rejected == []


def test_an_event_that_goes_to_no_destination_was_accepted_too(api):
    assert post(api, {**event("a"), "integrations": {"All": False}}) == 204
    api.assert_accepted("a", timeout_seconds=0)


def test_a_hit_id_counts_once_until_the_reset(api):
    for name in ("a", "a", "another body"):
        assert post(api, {"hitId": "h", **event(name)}) == 204
    assert len(api.accepted) == 1
    api.reset()
    assert api.accepted == []
    assert post(api, {"hitId": "h", **event("a")}) == 204
    assert len(api.accepted) == 1


def test_a_refused_request_is_there_with_its_document_and_why(api):
    assert post(api, NO_USER) == 400
    (refused,) = api.rejected
    assert (refused["status"], refused["code"]) == (400, "invalid_event")
    assert [each["pointer"] for each in refused["violations"]] == ["/event/user"]
    assert refused["document"] == NO_USER
    api.reset()
    assert api.rejected == []


def test_a_wrong_token_is_refused_and_its_document_is_there(api):
    assert post(api, event("a"), token="wrong") == 401
    (refused,) = api.rejected
    assert (refused["code"], refused["violations"]) == ("unauthorized", [])
    assert refused["document"] == event("a")


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", "invalid_json"), (b"1" * 65_537, "too_large"), (b"", "invalid_json")]
)
def test_what_is_no_json_or_too_long_has_no_document(api, body, code):
    headers = {"Content-Type": "application/json"}
    assert post(api, None, data=body, headers=headers) == 400
    (refused,) = api.rejected
    assert refused["code"] == code
    assert "document" not in refused


def test_an_expectation_that_is_met_gives_the_whole_envelope(api):
    post(api, {"hitId": "h", **event("Product Added", price=10, product={"id": "p", "n": 1})})
    envelope = api.assert_accepted("Product Added", "u-1", price=10, product={"id": "p"})
    assert envelope["hitId"] == "h"
    api.assert_accepted(user={"userId": "u-1"})
    api.assert_accepted()


@pytest.mark.parametrize(
    "expected",
    [{"name": "b"}, {"user_id": "u-2"}, {"anonymous_id": "u-1"}, {"price": "10"}, {"other": None}],
)
def test_an_expectation_that_is_not_met_fails(api, expected):
    post(api, event("a", price=10))
    with pytest.raises(AssertionError, match="no accepted event is as expected"):
        api.assert_accepted(**expected, timeout_seconds=0)


def test_an_event_that_comes_late_is_waited_for(api):
    late = threading.Timer(0.3, post, (api, event("late")))
    late.start()
    try:
        api.assert_accepted("late", timeout_seconds=20)
    finally:
        late.join()


def test_waiting_ends(api):
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"waited 0\.3 s"):
        api.assert_accepted("never", timeout_seconds=0.3)
    assert 0.2 < time.monotonic() - began < 10


def test_it_ends_with_whoever_started_it_even_by_a_kill(tmp_path: Path):
    script = (
        "import time\nfrom segmentstream_api.mock.client import running\n"
        "with running() as api:\n    print(api.url, flush=True)\n    time.sleep(60)\n"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        api = TrackingApi(process.stdout.readline().strip(), TOKEN)
        assert api.accepted == []
        process.send_signal(signal.SIGKILL)

    def ended():
        try:
            return api.accepted and False
        except OSError:
            return True

    until(ended)
    until(lambda: list(tmp_path.iterdir()) == [])
