"""A keyword of track.json is changed, and nothing else: everybody knows of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mock.project import Project
from tests.supply.distribution import build_wheel, copy_source, environment
from tests.system.browser import CHROMIUM, Browser, Page
from tests.system.service import Service, authorization

EVENT = {"event": {"name": "Registered", "user": {"userId": "u-1"}}}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a wheel in which `hitId` is required."""
    folder = tmp_path_factory.mktemp("changed")
    source = folder / "source"
    copy_source(source)
    path = source / "schemas" / "track.json"
    text = path.read_text("utf-8")
    changed = text.replace('\n  "required": ["event"],', '\n  "required": ["event", "hitId"],')
    assert changed != text
    path.write_text(changed, "utf-8")
    wheel = build_wheel(source, folder / "wheel")
    return environment(folder / "environment", wheel, "pytest") / "python"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), workers=1, python=python)
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    yield service
    service.kill_everything()


def told(service: Service, path: str) -> dict:
    document: dict = json.loads(service.request("GET", path)[2])
    return document


def test_the_service_asks_for_it(service: Service) -> None:
    headers = {"Authorization": authorization(), "Content-Type": "application/json"}
    status, _, answer = service.request("POST", "/track", json.dumps(EVENT).encode(), headers)
    assert status == 400
    assert [each["pointer"] for each in json.loads(answer)["errors"]] == ["/hitId"]
    assert service.post({**EVENT, "hitId": "h-1"}) == 204


def test_the_schema_and_openapi_say_it(service: Service) -> None:
    assert told(service, "/schemas/track.json")["required"] == ["event", "hitId"]
    parts = told(service, "/openapi.json")["components"]["schemas"]
    assert parts["track"]["required"] == ["event", "hitId"]


def test_the_reference_page_marks_it(service: Service, tmp_path: Path) -> None:
    if not CHROMIUM:
        pytest.skip("needs chromium (the package chromium)")
    browser = Browser(tmp_path)
    try:
        page = Page(browser, f"http://127.0.0.1:{service.port}/docs")
        marked = "#swagger-ui .json-schema-2020-12-property--required"
        page.wait_for(f"!!document.querySelector('{marked}')")
        names = page.run(
            f"[...document.querySelectorAll('{marked} > article > .json-schema-2020-12-head')]"
            ".map(each => each.textContent)"
        )
        assert [name for name in names if name.startswith("hitId")]
    finally:
        browser.close()


def test_the_mock_refuses_what_has_none(python: Path, tmp_path: Path) -> None:
    project = Project(tmp_path, python)
    project.write(
        "test_tracker.py",
        "import pytest\nfrom tracker import track\n\n\ndef test_it(tracking_api):\n"
        "    with pytest.raises(OSError, match='400'):\n"
        f"        track(tracking_api.url, tracking_api.token, {EVENT['event']})\n"
        "    (refused,) = tracking_api.rejected\n"
        "    assert [each['pointer'] for each in refused['violations']] == ['/hitId']\n",
    )
    code, said = project.pytest("-q")
    assert code == 0, said
