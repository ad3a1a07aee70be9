"""Browser SDKs in pinned versions, unmodified, in a real browser from another origin."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.optional import missing
from tests.system.browser import CHROMIUM, Browser, Page
from tests.system.nginx import SITE, Nginx, needs_nginx
from tests.system.outbox import wait_until
from tests.system.pages import BROWSER_TOKEN, Pages, open_to, stored
from tests.system.service import Service

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium (the package chromium)")

_INSTALL_SECONDS = 240
_CALLS = """
    await sdk.identify("u-1", {email: "a@example.com"});
    await sdk.page("Home", {url: "https://shop.example.com/p"});
    await sdk.track("Order Completed", {order_id: "O-1", revenue: 25.5, currency: "USD"});
    await sdk.group("g-1", {name: "Acme"});
"""
NAMES = {"Updated Profile Info", "Viewed Page", "Completed Transaction", "Joined Group"}


@dataclass(frozen=True)
class Sdk:
    requirement: str
    file: str
    """What the page loads of it."""

    start: str
    """JavaScript that makes `sdk`; HOST and KEY are the service's."""

    repeats: bool = True
    """Whether it sends again after 503."""


SDKS = (
    Sdk(
        "@segment/analytics-next@1.84.3",
        "@segment/analytics-next/dist/umd/index.js",
        "await import('/sdk.js');"
        "const sdk = window.AnalyticsNext.AnalyticsBrowser.load({writeKey: KEY, cdnURL: HOST});",
    ),
    Sdk(
        "@rudderstack/analytics-js@3.34.1",
        "@rudderstack/analytics-js/dist/npm/modern/bundled/esm/index.mjs",
        "const {RudderAnalytics} = await import('/sdk.js');"
        "const sdk = new RudderAnalytics(); sdk.load(KEY, HOST, {configUrl: HOST});",
    ),
    Sdk(
        "@jitsu/js@1.11.0",
        "@jitsu/js/dist/jitsu.es.js",
        "const {jitsuAnalytics} = await import('/sdk.js');"
        "const sdk = jitsuAnalytics({host: HOST, writeKey: `${KEY}:-`});",
        repeats=False,
    ),
)


@pytest.fixture(scope="module", params=SDKS, ids=lambda sdk: sdk.requirement)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    sdk: Sdk = request.param
    return sdk


@pytest.fixture(scope="module")
def installed(sdk: Sdk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file. The test is skipped where npm cannot get it."""
    npm = shutil.which("npm") or missing("npm is not installed")
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "package.json").write_text('{"private": true}')
    done = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", sdk.requirement],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=_INSTALL_SECONDS,
    )
    if done.returncode:
        missing(f"{sdk.requirement} could not be installed: {done.stderr.decode()[-500:]}")
    return folder / "node_modules" / sdk.file


@pytest.fixture
def pages(sdk: Sdk, installed: Path) -> Iterator[Pages]:
    pages = Pages({"/": "<title>Shop</title>", "/sdk.js": installed})
    yield pages
    pages.close()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("browser")
    browser = Browser(folder, "--ignore-certificate-errors")  # nginx has one that it made itself
    yield browser
    browser.close()


def direct(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"


def call(browser: Browser, pages: Pages, host: str, sdk: Sdk, key: str = BROWSER_TOKEN) -> Page:
    page = Page(browser, f"{pages.origin}/")
    page.wait_for("document.title == 'Shop'")
    page.run(
        f"(async () => {{ const HOST = {host!r}, KEY = {key!r};"
        f"{sdk.start}{_CALLS} window.called = true; }})(); 0"
    )
    return page


def test_every_call_arrives_once_and_the_console_stays_empty(
    sdk: Sdk, pages: Pages, browser: Browser, tmp_path: Path
) -> None:
    service = Service(tmp_path)
    open_to(service, pages.origin)
    service.start()
    try:
        require_every_call_once(call(browser, pages, direct(service), sdk), service)
    finally:
        service.kill_everything()


@needs_nginx
def test_every_call_arrives_once_through_nginx(
    sdk: Sdk, pages: Pages, browser: Browser, tmp_path: Path
) -> None:
    site = tmp_path / "site.conf"  # on another port than 443, which settings must name
    with_port = SITE.read_text("utf-8").replace("Host $host;", "Host $host:$server_port;")
    site.write_text(with_port, "utf-8")
    service, nginx = Service(tmp_path), Nginx(tmp_path / "nginx", site=site)
    open_to(service, pages.origin)
    try:
        service.start("--bind", f"unix:{nginx.upstream}")
        nginx.start()
        require_every_call_once(
            call(browser, pages, f"https://127.0.0.1:{nginx.port}", sdk), service
        )
        for log in nginx.folder.glob("*.log"):
            assert BROWSER_TOKEN not in log.read_text(), log
    finally:
        nginx.stop()
        service.kill_everything()


def require_every_call_once(page: Page, service: Service) -> None:
    page.wait_for("window.called")
    wait_until(lambda: len(stored(service)) >= len(NAMES))
    assert [each for each in page.complaints() if _is_error(each)] == []
    events = {event["event"]["name"]: event for event in stored(service)}
    assert len(stored(service)) == len(events)
    assert events.keys() == NAMES
    order = events["Completed Transaction"]
    assert order["event"]["transaction"]["orderId"] == "O-1"
    assert order["event"]["user"]["userId"] == "u-1"
    assert order["context"]["ip"] == "127.0.0.1"
    assert BROWSER_TOKEN not in str(stored(service))


def test_a_page_that_is_not_listed_stores_nothing(
    sdk: Sdk, pages: Pages, browser: Browser, tmp_path: Path
) -> None:
    service = Service(tmp_path)
    open_to(service, "https://shop.example.com")
    service.start()
    try:
        call(browser, pages, direct(service), sdk)  # some wait for their settings without end
        wait_until(lambda: '"status": 401' in service.log.read_text())
        assert stored(service) == []
    finally:
        service.kill_everything()


def test_calls_while_the_store_is_locked_are_sent_again_and_stored_once(
    sdk: Sdk, pages: Pages, browser: Browser, tmp_path: Path
) -> None:
    """Jitsu's SDK never sends again: what was answered 503 is lost, as docs/sources.md says."""
    service = Service(tmp_path)
    open_to(service, pages.origin)
    service.start()
    lock = sqlite3.connect(service.store, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        page = call(browser, pages, direct(service), sdk)
        page.wait_for("window.called")
        wait_until(lambda: '"status": 503' in service.log.read_text())
        lock.close()
        if sdk.repeats:
            wait_until(lambda: len(stored(service)) >= len(NAMES))
        names = [event["event"]["name"] for event in stored(service)]
        assert len(names) == len(set(names))
        assert set(names) == NAMES or not sdk.repeats
    finally:
        lock.close()
        service.kill_everything()


def _is_error(complaint: dict) -> bool:
    return "exceptionDetails" in complaint or "error" in (
        complaint.get("type"),
        complaint.get("entry", {}).get("level"),
    )
