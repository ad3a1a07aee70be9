from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import falcon.testing
import pytest

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.contract.schemas import load_schema, schema_folder
from segmentstream_api.destinations.registry import OWN
from segmentstream_api.http.openapi import openapi_document
from segmentstream_api.http.reference import STATIC, public_schemas, reference_files
from tests.system.service import token_digest

PATHS = dict(reference_files(schema_folder()))


def client_for(folder: Path, more: str = "") -> falcon.testing.TestClient:
    path = folder / "segmentstream.toml"
    path.write_text(f'{more}\n[projects.shop]\ntokens = ["{token_digest("abc123")}"]', "utf-8")
    return falcon.testing.TestClient(create_app(load_settings(path, environ={}, registry=OWN)))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return client_for(tmp_path_factory.mktemp("reference"))


def test_every_schema_but_the_operators_is_public():
    paths = {path.relative_to(schema_folder()) for path in schema_folder().rglob("*.json")}
    assert {Path(name) for name in public_schemas(schema_folder())} == paths - {
        Path("config.json"),
        Path("log.json"),
    }


@pytest.mark.parametrize("name", public_schemas(schema_folder()))
def test_a_schema_is_found_where_its_id_says(client, name):
    answer = client.simulate_get(load_schema(name)["$id"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.content == (schema_folder() / name).read_bytes()


def test_openapi_json_is_made_of_the_schemas(client):
    answer = client.simulate_get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    schemas = {name: load_schema(name) for name in public_schemas(schema_folder())}
    assert answer.json == openapi_document(schemas)


def test_a_changed_schema_is_told_without_a_change_of_the_code(tmp_path):
    folder = shutil.copytree(schema_folder(), tmp_path / "schemas")
    text = (folder / "track.json").read_text("utf-8")
    (folder / "track.json").write_text(text.replace('"maxLength": 256', '"maxLength": 36'))
    told = json.loads(dict(reference_files(folder))["/openapi.json"].content)
    assert told["components"]["schemas"]["track"]["properties"]["hitId"]["maxLength"] == 36


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_cached_until_it_changes(client, path):
    first = client.simulate_get(path)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    etag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{64}"', etag)
    for known in (etag, f'"another", {etag}', f"W/{etag}", "*"):
        again = client.simulate_get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    changed = client.simulate_get(path, headers={"If-None-Match": '"another"'})
    assert changed.content == first.content


@pytest.mark.parametrize("path", PATHS)
def test_head_says_what_get_would(client, path):
    get, head = client.simulate_get(path), client.simulate_head(path)
    assert (head.status_code, head.content) == (200, b"")
    own = {"x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in get.headers.items() if name not in own
    }
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/schemas/track.json"])
def test_another_method_gets_405(client, method, path):
    answer = client.simulate_request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/schemas",
        "/schemas/",
        "/schemas/config.json",
        "/schemas/log.json",
        "/schemas/../setup.cfg",
        "/schemas/%2e%2e/setup.cfg",
        "/schemas/..%2fsetup.cfg",
        "/schemas//etc/passwd",
        "/docs/",
        "/docs/docs.html",
        "/docs/../reference.py",
        "/docs/%2e%2e/%2e%2e/segmentstream.toml",
    ],
)
def test_nothing_else_is_found(client, path):
    assert client.simulate_get(path).status_code == 404


def test_the_page_may_ask_no_other_host_for_anything(client):
    policy = client.simulate_get("/docs").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert not re.search(r"https?:|\*|unsafe-eval", policy)
    assert "script-src" not in rules


def test_what_the_page_refers_to_is_there():
    page = (STATIC / "docs.html").read_text("utf-8")
    referred = re.findall(r'(?:href|src)="([^"#][^"]*)"', page)
    assert {f"/{name}" for name in referred if name != "data:,"} <= PATHS.keys()
    for anchor in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{anchor}"' in page


def test_the_renderer_comes_with_its_licence():
    folder = STATIC / "swagger-ui"
    assert "Apache License" in (folder / "LICENSE").read_text("utf-8")
    assert {"NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= {p.name for p in folder.iterdir()}


def test_all_of_it_can_be_turned_off(tmp_path):
    client = client_for(tmp_path, "[reference]\nenabled = false")
    assert {client.simulate_get(path).status_code for path in PATHS} == {404}
    assert client.simulate_post("/track").status_code == 401


def test_nothing_of_the_configuration_is_told(client):
    told = b"".join(file.content for path, file in PATHS.items() if "swagger-ui" not in path)
    assert token_digest("abc123").encode() not in told
    assert b"dedup_window_hours" not in told
    assert json.loads(PATHS["/openapi.json"].content)
