"""Hits to `/collect` from pages of another origin, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.browser import CHROMIUM, Browser, Page
from tests.system.outbox import wait_until
from tests.system.pages import PROJECT_ID, Pages, open_to, stored
from tests.system.service import Service

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium (the package chromium)")


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    pages = Pages({"/": "<title>Shop</title>", "/other": "<title>Other</title>"})
    yield pages
    pages.close()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Pages]:
    """A site that the project does not list."""
    pages = Pages({"/": "<title>Stranger</title>"})
    yield pages
    pages.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pages: Pages) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("collect"))
    open_to(service, pages.origin, "null")
    service.start()
    yield service
    service.kill_everything()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser: Browser, pages: Pages) -> Page:
    page = Page(browser, f"{pages.origin}/")
    page.wait_for("document.title == 'Shop'")
    return page


def hit(hit_id: str, project_id: str = PROJECT_ID) -> dict[str, Any]:
    return {
        "event": {"name": "Viewed Page", "page": {"type": "home"}},
        "website": {},
        "type": "event",
        "hitId": hit_id,
        "projectId": project_id,
        "anonymousId": "a-1",
    }


def fetch(service: Service, hit: dict[str, Any], more: str = "") -> str:
    """As the SDK does it: no header, so the type is text/plain and there is no preflight."""
    options = "method: 'post', credentials: 'include', mode: 'cors'"
    return (
        f"fetch('http://127.0.0.1:{service.port}/collect', {{{options}, "
        f"body: JSON.stringify({json.dumps(hit)}){more}}})"
        ".then(async got => [got.status, await got.text()])"
    )


def hit_ids(service: Service) -> list[str]:
    return [event["hitId"] for event in stored(service)]


@pytest.mark.parametrize(
    "more", ["", ", keepalive: true", ", headers: {'Content-Type': 'application/json'}"]
)
def test_a_hit_by_fetch_arrives_and_the_console_stays_empty(
    page: Page, service: Service, more: str
) -> None:
    name = f"fetch{more}"
    assert page.run(fetch(service, hit(name), more)) == [204, ""]
    (event,) = [event for event in stored(service) if event["hitId"] == name]
    assert event["context"]["ip"] == "127.0.0.1"
    assert "Chrome" in event["context"]["userAgent"]
    assert event["event"]["user"] == {"anonymousId": "a-1"}
    assert page.complaints() == []


def test_a_hit_by_beacon_arrives_when_the_page_is_left(
    page: Page, pages: Pages, service: Service
) -> None:
    body = json.dumps(hit("beacon"))
    url = f"http://127.0.0.1:{service.port}/collect"
    page.run(
        f"addEventListener('pagehide', () => navigator.sendBeacon({url!r}, {json.dumps(body)})); "
        "location.href = '/other'; 0"
    )
    wait_until(lambda: "beacon" in hit_ids(service))


def test_a_hit_from_a_sandboxed_frame_arrives(page: Page, service: Service) -> None:
    send = fetch(service, hit("sandboxed"))
    script = f"<script>{send}.then(got => parent.postMessage(got, '*'))</script>"
    page.run(
        "addEventListener('message', got => window.received = [got.origin, ...got.data]);"
        "const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';"
        f"frame.srcdoc = {json.dumps(script).replace('</', '<' + chr(92) + '/')};"
        "document.body.append(frame); 0"
    )
    assert page.wait_for("window.received") == ["null", 204, ""]
    assert "sandboxed" in hit_ids(service)
    assert page.complaints() == []


def test_a_page_that_is_not_listed_reads_why_it_is_refused(
    browser: Browser, stranger: Pages, service: Service
) -> None:
    page = Page(browser, f"{stranger.origin}/")
    page.wait_for("document.title == 'Stranger'")
    status, body = page.run(fetch(service, hit("stranger")))
    assert (status, json.loads(body)["code"]) == (403, "origin")
    assert "stranger" not in hit_ids(service)


def test_an_unknown_project_is_answered_at_once_and_no_password_is_asked_for(
    page: Page, service: Service
) -> None:
    status, body = page.run(fetch(service, hit("unknown", "p-2")))
    assert (status, json.loads(body)["code"]) == (403, "unknown_project")


def test_a_refused_hit_can_be_read(page: Page, service: Service) -> None:
    wrong = {**hit("wrong"), "anonymousId": 5}
    status, body = page.run(fetch(service, wrong))
    assert (status, json.loads(body)["code"]) == (400, "invalid_event")
