"""`POST /track` as the contract has it, row by row, through the whole application."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import falcon.testing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from segmentstream_api.app import Application, create_app
from segmentstream_api.config import load_settings
from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.http.auth import token_digest
from tests.documents import DOCUMENTS

CASES = Path(__file__).parents[1] / "cases" / "track"
VALID = sorted((CASES / "valid").glob("*.json"))
INVALID = sorted((CASES / "invalid").glob("*.json"))
EVENT = {"event": {"name": "Registered", "user": {"userId": "u1"}}}


def basic(credentials: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(credentials.encode()).decode()}"}


class Api:
    """The application in front of one file destination per name."""

    def __init__(self, folder: Path, rules: str = "") -> None:
        """`rules` are further settings of the project that has the token abc123."""
        self.folder = folder
        (folder / "segmentstream.toml").write_text(
            f"""
            [store]
            disk_floor_megabytes = 1
            [projects.shop]
            tokens = ["{token_digest("abc123")}", "{token_digest("rotated")}"]
            destinations = ["archive", "crm"]
            {rules}
            [projects.blog]
            tokens = ["{token_digest("blog-token")}"]
            destinations = ["crm"]
            [destinations.archive]
            type = "file"
            path = "archive.jsonl"
            [destinations.crm]
            type = "file"
            path = "crm.jsonl"
            exclude_events = ["Viewed Page"]
            """,
            "utf-8",
        )
        path = folder / "segmentstream.toml"
        self.app: Application = create_app(load_settings(path, environ={}, registry=OWN))
        self.client = falcon.testing.TestClient(self.app)

    def post(self, body: bytes | object, **headers: str) -> falcon.testing.Result:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **basic("abc123:"), **headers}
        return self.client.simulate_post(
            "/track", body=raw, headers={name: value for name, value in sent.items() if value}
        )

    def received(self, destination: str = "archive") -> list[dict]:
        path = self.folder / f"{destination}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    yield api
    api.app.deliveries.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One application for tests that do not look at what it has received."""
    api = Api(tmp_path_factory.mktemp("shared"))
    yield api
    api.app.deliveries.stop()


def problem(result: falcon.testing.Result) -> tuple[int, str]:
    """Status and code, after checking that the body is a problem document (RFC 9457)."""
    assert result.headers["content-type"] == "application/problem+json"
    assert {"title", "status", "detail", "code"} <= result.json.keys()
    assert result.json["status"] == result.status_code
    return result.status_code, result.json["code"]


def test_a_valid_event_gets_204_with_an_empty_body_and_is_delivered(api):
    result = api.post(EVENT)
    assert (result.status_code, result.content) == (204, b"")
    assert [event["event"] for event in api.received()] == [EVENT["event"]]


def test_a_hit_id_that_was_seen_gets_204_and_is_delivered_once(api):
    for _ in range(3):
        assert api.post({"hitId": "one", **EVENT}).status_code == 204
    assert len(api.received()) == 1


def test_the_first_of_two_bodies_with_one_hit_id_wins(api, caplog):
    assert api.post({"hitId": "one", **EVENT}).status_code == 204
    other = {"event": {"name": "Other secret name", "user": {"userId": "u1"}}}
    assert api.post({"hitId": "one", **other}).status_code == 204
    assert [event["event"]["name"] for event in api.received()] == ["Registered"]
    assert "another body" in caplog.text
    assert "secret" not in caplog.text


def test_an_event_that_breaks_its_type_is_accepted_and_the_destinations_are_told(api):
    event = {
        "name": "Viewed Cart",
        "user": {"userId": "u1"},
        "cart": {"total": "1", "lineItems": []},
    }
    assert api.post({"event": event, "violations": "mine"}).status_code == 204
    assert api.post({**EVENT, "violations": "mine"}).status_code == 204
    broken, whole = api.received()
    assert [each["pointer"] for each in broken["violations"]] == [
        "/event/cart/currency",
        "/event/cart/subtotal",
        "/event/cart/total",
    ]
    assert "violations" not in whole


def test_each_broken_field_of_an_event_type_is_counted(api):
    labels = {"event": "Viewed Cart", "pointer": "/event/cart"}
    name = "segmentstream_event_type_violations_total"
    before = REGISTRY.get_sample_value(name, labels) or 0
    api.post({"event": {"name": "Viewed Cart", "user": {"userId": "u1"}}})
    assert REGISTRY.get_sample_value(name, labels) == before + 1


def test_where_a_project_rejects_it_is_answered_400_and_nothing_is_kept(tmp_path):
    text = 'event_types = "reject"\nunknown_events = "reject"'
    api = Api(tmp_path, rules=text)
    result = api.post({"event": {"name": "Viewed Cart", "user": {"userId": "u1"}}})
    assert problem(result) == (400, "invalid_event")
    assert result.json["detail"] == "1 violation of the event type 'Viewed Cart'; see errors."
    assert result.json["errors"] == [
        {"pointer": "/event/cart", "detail": "is missing; it is required"}
    ]
    result = api.post({"event": {"name": "My Own", "user": {"userId": "u1"}}})
    assert problem(result) == (400, "invalid_event")
    assert [each["pointer"] for each in result.json["errors"]] == ["/event/name"]
    assert api.post(EVENT).status_code == 204
    assert len(api.received()) == 1
    assert api.post(EVENT, **basic("blog-token:")).status_code == 204
    api.app.deliveries.stop()


def test_the_same_hit_id_in_another_project_is_another_event(api):
    assert api.post({"hitId": "one", **EVENT}).status_code == 204
    assert api.post({"hitId": "one", **EVENT}, **basic("blog-token:")).status_code == 204
    assert [event["project"] for event in api.received("crm")] == ["shop", "blog"]


def test_events_without_hit_id_are_never_duplicates(api):
    for _ in range(2):
        assert api.post(EVENT).status_code == 204
    first, second = api.received()
    assert first["hitId"] != second["hitId"]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer abc123",
        "Basic not base64!",
        "Basic " + base64.b64encode(b"abc123").decode(),  # no colon
        "Basic " + base64.b64encode(b"unknown:").decode(),
        "Basic " + base64.b64encode(b":abc123").decode(),
        "Basic " + base64.b64encode("abc123é:".encode()).decode(),
        "Basic YWJjMTIzOg",  # padding cut off
        "Basic YWJj MTIzOg==",
        "YWJjMTIzOg==",
    ],
)
def test_without_a_good_token_everything_gets_the_same_401(shared, authorization):
    reference = shared.post(EVENT, Authorization="Basic nonsense")
    result = shared.post(b"{]", Authorization=authorization, **{"Content-Type": "text/plain"})
    assert problem(result) == (401, "unauthorized")
    assert result.headers["www-authenticate"] == 'Basic realm="SegmentStream"'
    assert result.content == reference.content


@pytest.mark.parametrize("credentials", ["abc123:", "abc123:any password", "abc123::", "rotated:"])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_token_decides_alone(shared, credentials, scheme):
    assert shared.post(EVENT, **basic(credentials, scheme)).status_code == 204


@pytest.mark.parametrize("value", ["application/json; charset=utf-8", "Application/JSON"])
def test_parameters_and_case_of_the_content_type_do_not_matter(shared, value):
    assert shared.post(EVENT, **{"Content-Type": value}).status_code == 204


@pytest.mark.parametrize("value", ["text/plain", "application/jsonp", "application/x-ndjson", ""])
def test_another_content_type_is_refused(shared, value):
    assert problem(shared.post(EVENT, **{"Content-Type": value})) == (400, "content_type")


def test_65536_bytes_are_accepted_and_one_more_is_not(shared):
    body = json.dumps(EVENT).encode()
    assert shared.post(body.ljust(65_536)).status_code == 204
    assert problem(shared.post(body.ljust(65_537))) == (400, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"event": NaN}',
        b'{"event": {"value": 1e400}}',
        b"[" * 65 + b"]" * 65,
        b"[" * 60_000,
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b"9" * 5000,
    ],
)
def test_what_is_not_strict_json_is_refused(shared, body):
    assert problem(shared.post(body)) == (400, "invalid_json")


@pytest.mark.parametrize("case", VALID, ids=[path.stem for path in VALID])
def test_every_valid_case_is_acknowledged_and_delivered(api, case):
    document = json.loads(case.read_text("utf-8"))["document"]
    assert api.post(document).status_code == 204
    integrations = document.get("integrations", {})
    if not integrations:
        (envelope,) = api.received()
        assert envelope["event"]["user"].keys() >= document["event"].get("user", {}).keys()


@pytest.mark.parametrize("case", INVALID, ids=[path.stem for path in INVALID])
def test_every_invalid_case_is_refused_with_every_pointer(shared, case):
    content = json.loads(case.read_text("utf-8"))
    result = shared.post(content["document"])
    assert problem(result) == (400, "invalid_event")
    assert sorted({each["pointer"] for each in result.json["errors"]}) == sorted(
        set(content["pointers"])
    )


def test_no_answer_allows_another_origin_to_read_it(shared):
    asked = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    preflight = shared.client.simulate_options("/track", headers=asked)
    assert preflight.status_code == 405
    for answer in (preflight, shared.post(EVENT, **asked)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_gets_405_and_the_allowed_one(shared, method):
    result = shared.client.simulate_request(method, "/track")
    assert result.status_code == 405
    assert result.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/", "/Track", "/track/", "/track/x", "/collect/p/x", "/%2e%2e/x"]
)
def test_another_path_gets_404(shared, path):
    assert problem(shared.client.simulate_post(path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("integrations", "expected"),
    [
        (None, {"archive", "crm"}),
        ({}, {"archive", "crm"}),
        ({"archive": False}, {"crm"}),
        ({"ARCHIVE": {"some": "option"}}, {"archive", "crm"}),
        ({"archive": True}, {"archive", "crm"}),
        ({"File": False}, set()),
        ({"All": False}, set()),
        ({"All": False, "crm": True}, {"crm"}),
        ({"all": False, "Crm": {}}, {"crm"}),
        ({"Unheard of": False}, {"archive", "crm"}),
        ({"All": False, "Unheard of": True}, set()),
    ],
)
def test_integrations_select_the_destinations(api, integrations, expected):
    document = EVENT if integrations is None else {**EVENT, "integrations": integrations}
    assert api.post(document).status_code == 204
    assert {name for name in ("archive", "crm") if api.received(name)} == expected


def test_a_destination_gets_no_event_that_it_excludes(api):
    assert api.post({"event": {"name": "Viewed Page", "user": {"userId": "u"}}}).status_code == 204
    assert len(api.received("archive")) == 1
    assert api.received("crm") == []


def test_an_event_that_cannot_be_stored_gets_503_and_is_accepted_later(api):
    assert api.post(EVENT).status_code == 204
    database = api.folder / "segmentstream.db"
    aside = database.rename(database.with_suffix(".aside"))
    result = api.post({"hitId": "later", **EVENT})
    assert problem(result) == (503, "unavailable")
    assert int(result.headers["retry-after"]) > 0
    aside.rename(database)
    assert api.post({"hitId": "later", **EVENT}).status_code == 204
    assert [event["hitId"] for event in api.received()].count("later") == 1


def test_a_defect_of_ours_gets_500_without_a_word_of_the_event(shared, caplog):
    class Defective:
        def on_post(self, req, resp):
            raise KeyError(req.get_header("X-Secret"))

    shared.app.add_route("/defective", Defective())
    result = shared.client.simulate_post("/defective", headers={"X-Secret": "canary"})
    assert problem(result) == (500, "internal")
    assert "KeyError" in caplog.text
    assert "canary" not in caplog.text + result.text


SCHEMA = Draft202012Validator(load_schema("track.json"))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=DOCUMENTS)
def test_no_document_gets_5xx_and_204_means_that_the_schema_agrees(shared, document):
    status = shared.post(json.dumps(document).encode()).status_code
    assert status in (204, 400)
    if status == 204:
        assert SCHEMA.is_valid(document)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=200))
def test_no_bytes_get_anything_but_400(shared, body):
    assert shared.post(body).status_code == 400
