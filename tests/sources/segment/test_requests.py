"""Requests of Segment's SDKs through the whole application: keys, bodies, answers."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3

import falcon.testing
import pytest
from prometheus_client import REGISTRY

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.http.auth import token_digest
from segmentstream_api.sources.segment.source import Segment
from tests.sources.recordings import POSTED

ORIGIN = "https://shop.example.com"
TRACK = {"type": "track", "event": "A", "userId": "u-1", "messageId": "m-1"}


def basic(token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()}


class Api:
    def __init__(self, folder):
        self.folder = folder
        path = folder / "segmentstream.toml"
        path.write_text(
            f"""
            [store]
            disk_floor_megabytes = 1
            [projects.shop]
            tokens = ["{token_digest("wk_test")}", "{token_digest("wk")}"]
            browser_tokens = ["{token_digest("public")}"]
            destinations = ["archive"]
            [projects.shop.browser]
            origins = ["{ORIGIN}"]
            [projects.blog]
            tokens = ["{token_digest("blog-token")}"]
            [destinations.archive]
            type = "file"
            path = "archive.jsonl"
            """,
            "utf-8",
        )
        self.app = create_app(load_settings(path, environ={}, registry=OWN))
        self.client = falcon.testing.TestClient(self.app)

    def post(self, path, body, headers=None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.simulate_post(path, body=raw, headers=headers or {})

    def received(self):
        path = self.folder / "archive.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    yield api
    api.app.deliveries.stop()


def refused(answer, status, code):
    """Whether it is an error as SDKs need it."""
    problem = answer.json
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert isinstance(problem["message"], str)
    assert isinstance(problem["error"], str)
    assert "WWW-Authenticate" not in answer.headers
    return problem


@pytest.mark.parametrize("recorded", POSTED, ids=lambda each: f"{each.name} {each.path}")
def test_a_recorded_request_is_answered_200_and_stored_once_without_its_key(api, recorded, caplog):
    headers = {
        name: value
        for name, value in recorded.headers.items()
        if name not in {"host", "content-length", "connection", "origin"}
    }
    for _ in range(2):  # as after an answer that got lost
        answer = api.post(recorded.path, recorded.raw, headers)
        assert (answer.status_code, answer.json) == (200, {"success": True})
    calls = recorded.body.get("batch", [recorded.body])
    assert [each["hitId"] for each in api.received()] == [call["messageId"] for call in calls]
    stored = (api.folder / "archive.jsonl").read_bytes() + caplog.text.encode()
    assert b"wk_test" not in stored
    assert b"writeKey" not in stored


@pytest.mark.parametrize("path", [path for path in Segment.paths if path.startswith("/v1")])
def test_every_path_takes_its_call_with_and_without_a_slash(api, path):
    call = {**TRACK, "groupId": "g", "previousId": "p", "writeKey": "wk_test"}
    body = {"batch": [call]} if path.strip("/").endswith(("batch", "b", "import")) else call
    assert api.post(path, body).status_code == 200


class TestKeys:
    def test_the_key_may_be_in_the_header_the_body_the_first_call_or_the_query(self, api):
        batch = {"batch": [TRACK]}
        assert api.post("/v1/batch", batch, basic("wk_test")).status_code == 200
        assert api.post("/v1/batch", {**batch, "writeKey": "wk_test"}).status_code == 200
        in_call = {"batch": [{**TRACK, "writeKey": "wk_test"}]}
        assert api.post("/v1/batch", in_call).status_code == 200
        assert api.post("/beacon/v1/batch?writeKey=wk_test", batch).status_code == 200

    @pytest.mark.parametrize("key", [{}, basic("unknown"), {"Authorization": "Bearer wk_test"}])
    def test_without_a_known_one_it_is_401(self, api, key):
        refused(api.post("/v1/batch", {"batch": [TRACK]}, key), 401, "unauthorized")
        refused(api.post("/v1/t", TRACK, key), 401, "unauthorized")

    def test_the_header_decides_and_no_other_key_is_kept(self, api):
        batch = {"batch": [{**TRACK, "writeKey": "blog-token"}], "writeKey": "other"}
        assert api.post("/v1/batch", batch, basic("wk_test")).status_code == 200
        (stored,) = api.received()
        assert stored["project"] == "shop"
        assert "blog-token" not in json.dumps(stored)
        assert "writeKey" not in json.dumps(stored)


class TestBrowserTokens:
    def test_one_opens_what_browsers_send_to_from_a_listed_origin(self, api):
        answer = api.post("/v1/t", TRACK, {**basic("public"), "Origin": ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]

    def test_an_app_has_no_origin(self, api):
        assert api.post("/v1/b", {"batch": [TRACK], "writeKey": "public"}).status_code == 200

    def test_another_origin_is_refused(self, api):
        headers = {**basic("public"), "Origin": "https://evil.example"}
        refused(api.post("/v1/t", TRACK, headers), 401, "origin")
        assert api.received() == []

    @pytest.mark.parametrize("path", ["/v1/import", "/v1/import/"])
    def test_it_does_not_open_the_paths_of_servers(self, api, path):
        refused(api.post(path, {"batch": [TRACK]}, basic("public")), 401, "unauthorized")

    def test_it_does_not_open_track(self, api):
        headers = {**basic("public"), "Content-Type": "application/json"}
        answer = api.post("/track", {"event": {"user": {"userId": "u"}}}, headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="SegmentStream"'

    def test_a_preflight_is_answered_without_a_key(self, api):
        answer = api.client.simulate_options(
            "/v1/t",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,x-retry-count",
            },
        )
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-headers"] == "authorization,x-retry-count"
        assert "POST" in answer.headers["access-control-allow-methods"]

    def test_a_refusal_can_be_read_by_the_page(self, api):
        answer = api.post("/v1/t", TRACK, {**basic("unknown"), "Origin": ORIGIN})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == ORIGIN


class TestBatches:
    def batch(self, api, calls):
        return api.post("/v1/batch", {"batch": calls}, basic("wk_test"))

    def test_a_bad_call_costs_no_good_one_and_is_named(self, api, caplog):
        caplog.set_level("INFO")
        labels = {"path": "/v1", "code": "invalid_event"}
        name = "segmentstream_refused_messages_total"
        before = REGISTRY.get_sample_value(name, labels) or 0
        bad = {"type": "track", "userId": "secret-user", "messageId": "m-2"}
        answer = self.batch(api, [TRACK, bad, {**TRACK, "messageId": "m-3"}])
        assert answer.status_code == 200
        assert answer.json == {
            "success": True,
            "rejected": [
                {
                    "index": 1,
                    "messageId": "m-2",
                    "errors": [
                        {
                            "pointer": "/event",
                            "detail": "is required: the event's name, a text that is not empty",
                        }
                    ],
                }
            ],
        }
        assert [each["hitId"] for each in api.received()] == ["m-1", "m-3"]
        assert REGISTRY.get_sample_value(name, labels) == before + 1
        assert "a message of a batch to /v1 was refused: invalid_event" in caplog.text
        assert "secret-user" not in caplog.text

    def test_only_a_batch_without_a_good_call_is_400(self, api):
        problem = refused(self.batch(api, [{}, None]), 400, "invalid_event")
        assert [each["pointer"] for each in problem["errors"]] == ["/batch/0/type", "/batch/1"]

    def test_an_empty_batch_has_no_bad_call(self, api):
        assert self.batch(api, []).json == {"success": True}

    def test_a_message_that_comes_twice_is_stored_once(self, api):
        assert self.batch(api, [TRACK, TRACK]).json == {"success": True}
        assert len(api.received()) == 1

    def test_it_is_503_as_a_whole_while_the_store_is_not_there(self, api):
        api.app.deliveries  # noqa: B018 - the store is opened by the first event
        assert self.batch(api, [TRACK]).status_code == 200
        lock = sqlite3.connect(api.folder / "segmentstream.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        calls = [{**TRACK, "messageId": "x"}, {}, {**TRACK, "messageId": "y"}]
        answer = self.batch(api, calls)
        refused(answer, 503, "unavailable")
        assert answer.headers["retry-after"].isdigit()
        lock.close()
        assert self.batch(api, calls).status_code == 200
        assert [each["hitId"] for each in api.received()] == ["m-1", "x", "y"]


class TestBodies:
    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "x"]
    )
    def test_the_content_type_does_not_matter(self, api, content_type):
        headers = {**basic("wk_test"), "Content-Type": content_type}
        assert api.post("/v1/t", TRACK, headers).status_code == 200

    def gzip(self, api, body):
        headers = {**basic("wk_test"), "Content-Encoding": "gzip"}
        return api.post("/v1/batch", body, headers)

    def test_gzip_is_inflated(self, api):
        body = gzip.compress(json.dumps({"batch": [TRACK]}).encode())
        assert self.gzip(api, body).status_code == 200
        assert len(api.received()) == 1

    def test_what_is_not_gzip_is_400(self, api):
        whole = gzip.compress(json.dumps({"batch": [TRACK]}).encode())
        for body in (b"{}", whole[:-3], whole + b"x"):
            refused(self.gzip(api, body), 400, "content_encoding")

    def test_a_bomb_is_413_before_it_is_inflated(self, api):
        bomb = gzip.compress(b" " * 200_000_000, 1)
        assert len(bomb) < 1_048_576
        refused(self.gzip(api, bomb), 413, "too_large")

    def test_other_encodings_are_400(self, api):
        headers = {**basic("wk_test"), "Content-Encoding": "br"}
        refused(api.post("/v1/batch", b"x", headers), 400, "content_encoding")

    def test_a_mebibyte_is_taken_and_no_more(self, api):
        body = json.dumps({"batch": [TRACK]}).encode()
        exactly = body + b" " * (1_048_576 - len(body))
        assert api.post("/v1/batch", exactly, basic("wk_test")).status_code == 200
        refused(api.post("/v1/batch", exactly + b" ", basic("wk_test")), 413, "too_large")

    def test_a_million_empty_calls_are_413(self, api):
        body = b'{"batch": [' + b"{}," * 349_000 + b"{}]}"
        refused(api.post("/v1/batch", body, basic("wk_test")), 413, "too_large")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{",
            b'{"batch": null}',
            b'{"batch": [null]}',
            b'{"batch": [{"batch": []}]}',
            b'{"batch": [{"type": "track", "event": "A", "userId": NaN}]}',
            b"[" * 70 + b"]" * 70,
            json.dumps({"batch": [{"type": "track", "event": None, "userId": None}]}).encode(),
            json.dumps({"batch": [dict.fromkeys([*TRACK, "properties", "context"])]}).encode(),
        ],
    )
    def test_garbage_is_400(self, api, body):
        answer = api.post("/v1/batch", body, basic("wk_test"))
        assert answer.status_code == 400
        assert {"code", "message", "error"} <= answer.json.keys()

    def test_deep_properties_are_kept(self, api):
        deep: object = "x"
        for _ in range(50):
            deep = {"a": deep}
        assert api.post("/v1/t", {**TRACK, "properties": deep}, basic("wk_test")).status_code == 200
        assert api.received()[0]["context"]["segment"]["properties"] == deep


class TestSettings:
    @pytest.mark.parametrize("path", ["/v1/projects/public/settings", "/projects/public/settings/"])
    def test_segments_sdks_are_told_where_to_send(self, api, path):
        answer = api.client.simulate_get(path, headers={"Host": "t.example.com", "Origin": ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.json["integrations"] == {
            "Segment.io": {
                "apiKey": "public",
                "apiHost": "t.example.com/v1",
                "protocol": "http",
            }
        }

    def test_a_proxys_scheme_counts(self, api):
        answer = api.client.simulate_get(
            "/v1/projects/public/settings",
            headers={"Host": "t.example.com", "X-Forwarded-Proto": "https"},
        )
        assert answer.json["integrations"]["Segment.io"]["protocol"] == "https"

    def test_rudderstacks_get_a_source_without_destinations(self, api):
        answer = api.client.simulate_get("/sourceConfig/?writeKey=public")
        assert answer.status_code == 200
        assert answer.json["source"]["enabled"] is True
        assert answer.json["source"]["destinations"] == []

    def test_an_unknown_key_gets_none(self, api):
        refused(api.client.simulate_get("/v1/projects/x/settings"), 401, "unauthorized")
        refused(api.client.simulate_get("/sourceConfig/"), 401, "unauthorized")

    def test_telemetry_is_thrown_away(self, api):
        assert api.post("/v1/m", {"series": []}).json == {"success": True}
        assert api.received() == []
