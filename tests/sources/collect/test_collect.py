"""`POST /collect` as pages see it, row by row, through the whole application."""

from __future__ import annotations

import json

import falcon.testing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.http.auth import token_digest

ORIGIN = "https://shop.example.com"
SETTINGS = f"""
[store]
disk_floor_megabytes = 1
[projects.shop]
tokens = ["{token_digest("abc123")}"]
event_types = "reject"
destinations = ["archive"]
[projects.shop.browser]
project_id = "p-1"
origins = ["{ORIGIN}", "null"]
[projects.slow]
tokens = ["{token_digest("slow")}"]
[projects.slow.browser]
project_id = "p-slow"
origins = ["{ORIGIN}"]
max_requests_per_second_per_address = 0.1
[projects.closed]
tokens = ["{token_digest("closed")}"]
[destinations.archive]
type = "file"
path = "archive.jsonl"
"""


def hit(name="Viewed Page", project_id="p-1", **more):
    fields = {"event": {"name": name}, "type": "event", "anonymousId": "a-1", **more}
    return fields if project_id is None else {**fields, "projectId": project_id}


class Api:
    def __init__(self, folder):
        self.archive = folder / "archive.jsonl"
        path = folder / "segmentstream.toml"
        path.write_text(SETTINGS, "utf-8")
        self.app = create_app(load_settings(path, environ={}, registry=OWN))
        self.client = falcon.testing.TestClient(self.app)

    def post(self, body=None, path="/collect", origin=ORIGIN, peer="203.0.113.7", **headers):
        headers = {"Content-Type": "text/plain;charset=UTF-8", **headers}
        if origin is not None:
            headers["Origin"] = origin
        raw = body if isinstance(body, bytes) else json.dumps(hit() if body is None else body)
        return self.client.simulate_post(
            path, body=raw, headers=headers, extras={"REMOTE_ADDR": peer}
        )

    def last(self):
        return json.loads(self.archive.read_text("utf-8").splitlines()[-1])


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    yield api
    api.app.deliveries.stop()


def readable_by(result, origin=ORIGIN):
    headers = result.headers
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-credentials"] == "true"
    assert "Origin" in headers["vary"]
    assert "www-authenticate" not in headers
    return result.status_code, result.json["code"] if result.content else None


@pytest.mark.parametrize(
    "content_type",
    ["text/plain;charset=UTF-8", "application/json", "application/x-www-form-urlencoded"],
)
def test_a_hit_is_accepted_whatever_its_type(api, content_type):
    result = api.post(**{"Content-Type": content_type})
    assert readable_by(result) == (204, None)
    event = api.last()
    assert event["project"] == "shop"
    assert event["event"]["user"] == {"anonymousId": "a-1"}
    assert event["context"]["ip"] == "203.0.113.7"


def test_a_page_without_an_origin_of_its_own_may_send_when_null_is_listed(api):
    assert readable_by(api.post(origin="null"), "null") == (204, None)


def test_a_request_that_is_of_no_page_is_accepted(api):
    result = api.post(origin=None)
    assert result.status_code == 204
    assert "access-control-allow-origin" not in result.headers
    assert result.headers["vary"] == "Origin"


def test_the_path_may_name_the_project(api):
    assert readable_by(api.post(hit(project_id=None), path="/collect/p-1")) == (204, None)
    assert readable_by(api.post(hit(project_id="p-slow"), path="/collect/p-1")) == (204, None)
    assert api.last()["project"] == "shop"
    assert "projectId" not in api.last()


@pytest.mark.parametrize(
    ("body", "path", "origin", "answer"),
    [
        (None, "/collect", "https://evil.example.com", (403, "origin")),
        (None, "/collect", "http://shop.example.com", (403, "origin")),
        (hit(project_id="p-slow"), "/collect", "null", (403, "origin")),
        (hit(project_id="p-2"), "/collect", ORIGIN, (403, "unknown_project")),
        (hit(project_id="closed"), "/collect", ORIGIN, (403, "unknown_project")),
        (hit(project_id=None), "/collect", ORIGIN, (403, "unknown_project")),
        (hit(), "/collect/p-2", ORIGIN, (403, "unknown_project")),
        (hit(), "/collect/abc123", ORIGIN, (403, "unknown_project")),
        ([hit()], "/collect", ORIGIN, (403, "unknown_project")),
        (b"{", "/collect", ORIGIN, (400, "invalid_json")),
        (b" ", "/collect", ORIGIN, (400, "invalid_json")),
        (hit(anonymousId=5), "/collect", ORIGIN, (400, "invalid_event")),
        (hit(name="Viewed Cart"), "/collect", ORIGIN, (400, "invalid_event")),
        ({"projectId": "p-1"}, "/collect", ORIGIN, (400, "invalid_event")),
        (b" " * 262_145, "/collect", ORIGIN, (413, "too_large")),
    ],
)
def test_a_page_can_read_why_its_hit_was_refused(api, body, path, origin, answer):
    assert readable_by(api.post(body, path=path, origin=origin), origin) == answer


def test_256_kib_are_accepted(api):
    body = json.dumps(hit()).encode()
    assert api.post(body + b" " * (262_144 - len(body))).status_code == 204


def test_a_compressed_body_is_refused(api):
    result = api.post(**{"Content-Encoding": "gzip"})
    assert readable_by(result) == (400, "content_encoding")


def test_a_token_does_not_help(api):
    result = api.post(hit(project_id=None), Authorization="Basic YWJjMTIzOg==")
    assert readable_by(result) == (403, "unknown_project")


def test_the_project_id_opens_nothing_else(api):
    result = api.post(path="/track", Authorization="Basic cC0xOg==")
    assert result.status_code == 401


def test_what_the_sdk_drops_does_not_refuse_its_hits(api):
    assert api.post(hit(name="Updated Cart")).status_code == 204
    assert "violations" not in api.last()


def test_a_repeated_hit_is_delivered_once(api):
    assert [api.post(hit(hitId="h-1")).status_code for _ in range(2)] == [204, 204]
    assert len(api.archive.read_text("utf-8").splitlines()) == 1


def test_a_preflight_needs_no_project(api):
    result = api.client.simulate_options(
        "/collect",
        headers={"Origin": ORIGIN, "Access-Control-Request-Headers": "content-type,x-own"},
    )
    assert readable_by(result) == (204, None)
    assert result.headers["access-control-allow-methods"] == "POST"
    assert result.headers["access-control-allow-headers"] == "content-type,x-own"
    assert int(result.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("origin", ["*", "https://a.example.com, https://b.example.com", "a b"])
def test_what_is_no_origin_is_not_echoed(api, origin):
    result = api.post(origin=origin)
    assert result.status_code == 403
    assert "access-control-allow-origin" not in result.headers


def test_an_address_that_sends_too_much_gets_429_and_another_does_not(api):
    slow = hit(project_id="p-slow")
    assert api.post(slow).status_code == 204
    result = api.post(slow)
    assert readable_by(result) == (429, "too_many_requests")
    assert 1 <= int(result.headers["retry-after"]) <= 10
    assert api.post(slow, peer="203.0.113.8").status_code == 204
    assert api.post().status_code == 204


def test_the_client_behind_a_trusted_proxy_is_who_counts(api):
    slow = hit(project_id="p-slow")
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    assert api.post(slow, peer="127.0.0.1", **forwarded).status_code == 204
    assert api.post(slow, peer="127.0.0.1", **forwarded).status_code == 429
    assert api.post(peer="127.0.0.1", **forwarded).status_code == 204
    assert api.last()["context"]["ip"] == "198.51.100.1"
    assert api.post(**forwarded).status_code == 204
    assert api.last()["context"]["ip"] == "203.0.113.7"


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
NAMES = ("Viewed Page", "Clicked Product", "Clicked Campaign", "Viewed Experiment", "Updated Cart")
PARTS = st.dictionaries(
    st.sampled_from(
        [
            *("page", "listing", "product", "cart", "transaction", "listItem", "listItems"),
            *("lineItems", "campaigns", "campaign", "experiment", "user", "website", "category"),
        ]
    ),
    VALUES | st.lists(st.fixed_dictionaries({"product": VALUES})),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    event=VALUES
    | st.builds(lambda name, parts: {"name": name, **parts}, st.sampled_from(NAMES), PARTS),
    rest=st.dictionaries(
        st.sampled_from(["sentAt", "userId", "anonymousId", "website", "context", "hitId", "user"]),
        VALUES | st.just("9999-12-31T23:59:59-23:59"),
    ),
)
def test_whatever_a_page_sends_it_is_answered(api, event, rest):
    result = api.post(hit(**{**rest, "event": event}))
    assert readable_by(result) in {(204, None), (400, "invalid_event"), (429, "too_many_requests")}
