"""The page /docs, as a browser shows it and as a reader follows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.system.browser import CHROMIUM, Browser, Page
from tests.system.service import CHECKOUT, TOKEN, Service

EVENTS = sorted((CHECKOUT / "schemas" / "events").glob("*.json"))
OBJECTS = sorted((CHECKOUT / "schemas" / "objects").glob("*.json"))
DRAWN = "document.querySelector('#swagger-ui .json-schema-2020-12')"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("docs"))
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    yield service
    service.kill_everything()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs chromium (the package chromium)")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, service: Service) -> Page:
    page = Page(browser, f"http://127.0.0.1:{service.port}/docs")
    page.wait_for(f"!!{DRAWN}")
    return page


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1440])
def test_a_browser_shows_the_reference_and_asks_nobody_else(
    browser: Browser, service: Service, width: int, scheme: str
) -> None:
    url = f"http://127.0.0.1:{service.port}"
    page = Page(browser, f"{url}/docs", width=width, scheme=scheme)
    page.wait_for(f"!!{DRAWN}")
    for shown in ("/track", "hitId", "anonymousId", "unauthorized", "WWW-Authenticate"):
        page.wait_for(f"document.querySelector('#swagger-ui').textContent.includes('{shown}')")
    assert page.run("document.querySelector('.url').textContent") == f"{url}/track"
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    page.run("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.run("document.documentElement.scrollWidth") <= width, "nothing is cut off"
    asked = page.addresses()
    assert f"{url}/openapi.json" in asked
    assert [address for address in asked if not address.startswith(f"{url}/")] == []
    assert page.complaints() == []


def rows(page: Page, part: str) -> list[list[str]]:
    """The table of a part, by rows."""
    found: list[list[str]] = page.run(
        f"[...document.getElementById({json.dumps(part)}).querySelectorAll('tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


def test_every_event_type_is_listed_with_what_they_share(page: Page) -> None:
    for section, paths in (("events", EVENTS), ("shared", OBJECTS)):
        told = page.run(
            f"[...document.querySelectorAll('#{section} > details > summary')]"
            ".map(each => each.textContent)"
        )
        schemas = [json.loads(path.read_text("utf-8")) for path in paths]
        assert told == [f"{each['title']} {each['description']}" for each in schemas]


@pytest.mark.parametrize("path", [*EVENTS, *OBJECTS], ids=lambda path: path.stem)
def test_every_field_of_it_is_shown_with_type_description_and_example(page: Page, path) -> None:
    schema = json.loads(path.read_text("utf-8"))
    shown = {
        name.removesuffix(" required"): (name, *others)
        for name, *others in rows(page, f"{path.parent.name}.{path.stem}")
    }
    described = dict(fields(schema))
    assert shown.keys() == described.keys()
    for name, (field, required) in described.items():
        label, kind, description, example = shown[name]
        assert label.endswith(" required") is required
        assert kind
        assert description.startswith(field.get("description", ""))
        if "properties" not in field and "examples" in field:
            assert json.loads(example) == field["examples"][0]


def fields(schema: dict, path: str = "") -> Iterator[tuple[str, tuple[dict, bool]]]:
    for name, field in schema.get("properties", {}).items():
        yield path + name, (field, name in schema.get("required", ()))
        yield from fields(field, f"{path}{name}.")
        yield from fields(field.get("items", {}), f"{path}{name}[].")


def test_what_a_field_is_asked_for_is_told(page: Page) -> None:
    transaction = {row[0]: row for row in rows(page, "events.completed-transaction")}
    assert transaction["event.name required"][1] == '"Completed Transaction"'
    assert transaction["event.transaction required"][1:3] == [
        "Transaction",
        "The order. It needs orderId, currency, subtotal, total, lineItems.",
    ]
    registered = {row[0]: row for row in rows(page, "events.registered")}
    assert registered["event.user required"][2].endswith("userId, email or emailHash is required.")
    product = {row[0]: row for row in rows(page, "objects.product")}
    assert product["category"][1] == "string or array of string"
    assert product["variations"][1] == "array of Product"
    assert rows(page, "objects.event")[3][2].endswith("minimum: 0")


def test_the_example_of_every_event_type_is_accepted(page: Page, service: Service) -> None:
    examples = page.run(
        "[...document.querySelectorAll('#events pre')].map(each => each.textContent)"
    )
    assert len(examples) >= len(EVENTS)
    assert {service.post(json.loads(each)) for each in examples} == {204}
    reported = (service.folder / "events.jsonl").read_text("utf-8")
    assert '"violations"' not in reported


def test_a_link_opens_what_it_leads_to(browser: Browser, service: Service) -> None:
    page = Page(browser, f"http://127.0.0.1:{service.port}/docs#events.added-product")
    page.wait_for("document.getElementById('events.added-product')?.open")
    page.click("#events\\.added-product a", "Product")
    page.wait_for("document.getElementById('objects.product').open")


def test_an_event_can_be_tried_out(page: Page, service: Service) -> None:
    before = received(service)
    page.click("#swagger-ui .btn.authorize")
    page.type(".auth-container input[type=text]", TOKEN)
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper button", "Close")
    page.click("#swagger-ui .try-out__btn")
    page.click("#swagger-ui .execute")
    status = page.wait_for(
        "document.querySelector('.live-responses-table tbody .response-col_status')?.textContent"
    )
    assert status.startswith("204"), page.run("document.querySelector('#swagger-ui').innerText")
    assert received(service) == before + 1


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


def test_the_javascript_of_the_quick_start_works(page: Page, service: Service) -> None:
    """In the browser, which has all that Node has of it; the page comes from the same address."""
    before, complaints = received(service), len(page.complaints())
    code = quick_start(service, "javascript")
    status = page.run(f"(async () => {{ {code} return response.status; }})()")
    assert status == 204
    assert len(page.complaints()) == complaints
    assert received(service) == before + 1
