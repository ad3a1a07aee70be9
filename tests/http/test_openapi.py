from __future__ import annotations

import copy
import json
from pathlib import Path

import falcon.testing
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.contract.event_types.subschemas import subschemas
from segmentstream_api.contract.schemas import Contract, load_schema, schema_folder
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.errors import ForbiddenOrigin, Refused, TooManyRequests, UnknownProject
from segmentstream_api.http.openapi import openapi_document
from segmentstream_api.http.reference import public_schemas
from tests.system.service import authorization, token_digest

TRACK = load_schema("track.json")
PROBLEM = load_schema("problem.json")
SCHEMAS = {name: load_schema(name) for name in public_schemas(schema_folder())}
DOCUMENT = openapi_document(SCHEMAS)
EVENT_CASES = sorted((Path(__file__).parents[1] / "cases" / "events").rglob("*.json"))
OPERATION = DOCUMENT["paths"]["/track"]["post"]
EVENT = b'{"event": {"user": {"userId": "u1"}}}'
JSON = "application/json"
PROBLEMS = {
    example["value"]["code"]: (int(status), example["value"])
    for status, response in OPERATION["responses"].items()
    for content in response.get("content", {}).values()
    for example in content["examples"].values()
}

# What gets each problem: method, path, headers, body.
AUTHORIZED = {"Authorization": authorization()}
CAUSES = {
    "content_type": ("POST", "/track", {**AUTHORIZED, "Content-Type": "text/plain"}, EVENT),
    "content_encoding": (
        "POST",
        "/track",
        {**AUTHORIZED, "Content-Type": JSON, "Content-Encoding": "gzip"},
        EVENT,
    ),
    "content_length": (
        "POST",
        "/track",
        {**AUTHORIZED, "Content-Type": JSON, "Content-Length": ""},
        b"",
    ),
    "too_large": ("POST", "/track", {**AUTHORIZED, "Content-Type": JSON}, b" " * 65_537),
    "invalid_json": ("POST", "/track", {**AUTHORIZED, "Content-Type": JSON}, b'{"event": NaN}'),
    "invalid_event": ("POST", "/track", {**AUTHORIZED, "Content-Type": JSON}, b'{"event": {}}'),
    "unauthorized": ("POST", "/track", {}, EVENT),
    "not_found": ("POST", "/nowhere", {}, EVENT),
    "method_not_allowed": ("GET", "/track", {}, b""),
    "internal": ("GET", "/defective", {}, b""),
    "unavailable": ("POST", "/track", {**AUTHORIZED, "Content-Type": JSON}, EVENT),
}


class Defective:
    def on_get(self, req, resp):
        raise ZeroDivisionError


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "segmentstream.toml"
    path.write_text(f'[projects.shop]\ntokens = ["{token_digest("abc123")}"]', "utf-8")
    app = create_app(load_settings(path, environ={}, registry=OWN))
    app.add_route("/defective", Defective())
    yield app
    app.deliveries.stop()


def test_it_is_valid_openapi_3_1_in_which_every_reference_leads_somewhere():
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_schemas_of_the_operation_are_in_it_as_they_are():
    schemas = DOCUMENT["components"]["schemas"]
    assert (schemas["track"], schemas["problem"]) == (TRACK, PROBLEM)


def test_every_public_schema_is_a_part_of_it():
    parts = {name.removesuffix(".json").replace("/", ".") for name in SCHEMAS}
    assert DOCUMENT["components"]["schemas"].keys() == parts


@pytest.mark.parametrize("path", EVENT_CASES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_an_event_type_says_in_it_what_it_says_by_itself(path):
    document = json.loads(path.read_text("utf-8"))["document"]
    part = {"$ref": f"#/components/schemas/events.{path.parts[-3]}", **DOCUMENT}
    assert Draft202012Validator(part).is_valid(document) is (path.parts[-2] == "valid")


def test_no_reference_needs_another_document():
    references = {each["$ref"] for _, each in subschemas(DOCUMENT) if "$ref" in each}
    assert "#/components/schemas/objects.product" in references
    assert {each.rpartition("/")[0] for each in references} == {"#/components/schemas"}


def test_a_reference_within_a_schema_stays_within_it():
    schema = {"$id": "/schemas/events/a.json", "$schema": "", "$ref": "#/$defs/b"}
    parts = openapi_document({**SCHEMAS, "events/a.json": schema})["components"]["schemas"]
    assert parts["events.a"] == {"$ref": "#/components/schemas/events.a/$defs/b"}


def test_a_changed_keyword_of_a_schema_changes_it_and_nothing_else():
    changed = copy.deepcopy(TRACK)
    changed["properties"]["hitId"]["maxLength"] = 36
    document = openapi_document({**SCHEMAS, "track.json": changed})
    assert document != DOCUMENT
    schema = document["components"]["schemas"]["track"]
    assert schema["properties"]["hitId"].pop("maxLength") == 36
    schema["properties"]["hitId"]["maxLength"] = 256
    assert document == DOCUMENT


def test_a_new_example_of_a_schema_becomes_one_of_its_own():
    event = {"event": {"name": "Viewed Page", "user": {"userId": "u1"}}}
    changed = {**TRACK, "examples": [*TRACK["examples"], event]}
    document = openapi_document({**SCHEMAS, "track.json": changed})
    content = document["paths"]["/track"]["post"]["requestBody"]["content"][JSON]
    assert content["examples"]["2-viewed-page"] == {"summary": "Viewed Page", "value": event}


@pytest.mark.parametrize("name", OPERATION["requestBody"]["content"][JSON]["examples"])
def test_an_example_of_the_request_is_valid(name):
    Contract(TRACK).check(OPERATION["requestBody"]["content"][JSON]["examples"][name]["value"])


def test_every_kind_of_refusal_is_among_the_problems():
    kinds = set(Refused.__subclasses__()) - {
        ForbiddenOrigin,
        TooManyRequests,
        UnknownProject,
    }  # not at /track
    codes = {Refused.code, *(cls.code for cls in kinds)}
    assert codes | {"not_found", "method_not_allowed", "internal", "unavailable"} == set(PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_an_example_of_a_problem_keeps_to_the_schema_and_stands_at_its_status(code):
    status, problem = PROBLEMS[code]
    Draft202012Validator(PROBLEM).validate(problem)
    assert problem["status"] == status


@pytest.mark.parametrize("code", sorted(PROBLEMS.keys() - {"bad_request"}))  # gunicorn's answer
def test_an_example_of_a_problem_is_what_the_service_answers(app, tmp_path, code):
    method, path, headers, body = CAUSES[code]
    if code == "unavailable":
        (tmp_path / "segmentstream.db").mkdir()
    answer = falcon.testing.TestClient(app).simulate_request(
        method, path, headers=headers, body=body
    )
    status, problem = PROBLEMS[code]
    assert (answer.status_code, answer.json) == (status, problem)
    response = OPERATION["responses"][str(status)]
    assert response["content"].keys() == {answer.headers["content-type"]}
    promised = {name.lower() for name in response.get("headers", {})}
    assert promised == answer.headers.keys() - {"content-type", "content-length"}
