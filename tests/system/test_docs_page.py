"""The page /docs, as a browser shows it and as a reader follows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.service import TOKEN, Service

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("docs"))
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    yield service
    service.kill_everything()


def browse(url: str, folder: Path, *options: str) -> tuple[str, str, list[dict]]:
    """What became of the page, what chromium said, and the page's own requests."""
    net_log = folder / "net.json"
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",  # it needs what containers seldom allow; the page is our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={net_log}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",  # milliseconds; they pass as soon as nothing is left
            *options,
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    events = json.loads(net_log.read_text("utf-8"))["events"]
    origin = url.rpartition("/")[0]
    requests = [event.get("params", {}) for event in events]
    return done.stdout, done.stderr, [each for each in requests if each.get("initiator") == origin]


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium (the package chromium)")
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_browser_shows_the_reference_and_asks_nobody_else(
    service: Service, tmp_path: Path, scheme: str
) -> None:
    url = f"http://127.0.0.1:{service.port}"
    number = {"dark": 0, "light": 1}[scheme]  # mojom::PreferredColorScheme of Blink
    page, said, requests = browse(
        f"{url}/docs", tmp_path, f"--blink-settings=preferredColorScheme={number}"
    )
    assert "CONSOLE" not in said, said
    assert f"{url}/track" in page
    assert 'data-path="/track"' in page
    for shown in ("hitId", "anonymousId", "unauthorized", "WWW-Authenticate", "Retry-After"):
        assert shown in page.partition('id="swagger-ui"')[2], shown
    assert ("dark-mode" in page.partition("<head>")[0]) == (scheme == "dark")
    asked = {request["url"] for request in requests}
    assert f"{url}/openapi.json" in asked
    assert {address for address in asked if not address.startswith(f"{url}/")} == set()


def quick_start(service: Service, language: str) -> str:
    """The code as the reader sees it, with a token that is good."""
    page = service.request("GET", "/docs")[2].decode()
    found = re.search(rf'<code class="{language}">(.*?)</code>', page, re.DOTALL)
    assert found is not None
    code = html.unescape(re.sub(r"<[^>]+>", "", found[1]))
    assert "YOUR-API-TOKEN" in code
    assert "http://127.0.0.1:8000/track" in code
    return code.replace("YOUR-API-TOKEN", TOKEN).replace(":8000", f":{service.port}")


def received(service: Service) -> int:
    path = service.folder / "events.jsonl"
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl (the package curl)")
def test_the_curl_line_of_the_quick_start_works(service: Service) -> None:
    before = received(service)
    command = ["sh", "-c", quick_start(service, "shell")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "204 No Content" in done.stdout
    assert received(service) == before + 1


def test_the_python_of_the_quick_start_works(service: Service) -> None:
    before = received(service)
    command = [sys.executable, "-c", quick_start(service, "python")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert received(service) == before + 1
