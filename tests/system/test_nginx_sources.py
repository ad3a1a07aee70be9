"""What web pages and SDKs send, through the real nginx and deploy/nginx.conf."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.system.nginx import Nginx, needs_nginx
from tests.system.service import Service, authorization, token_digest
from tests.system.stand_in import Reply, StandIn

pytestmark = needs_nginx

ORIGIN = "https://shop.example.com"
BROWSER_TOKEN = "browser-canary-4711"
HIT = {"projectId": "p-1", "anonymousId": "a-1", "event": {"name": "Viewed Page"}}
CALL = {"type": "track", "event": "A", "userId": "u-1"}
PAGE = {"Origin": ORIGIN, "Content-Type": "text/plain;charset=UTF-8"}
Answer = tuple[int, dict[str, str], bytes]


def open_to_browsers(service: Service) -> None:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    with (service.folder / "segmentstream.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            f"""
[projects.web]
tokens = ["{token_digest("web-token")}"]
browser_tokens = ["{token_digest(BROWSER_TOKEN)}"]
destinations = ["archive"]
[projects.web.browser]
project_id = "p-1"
origins = ["{ORIGIN}", "null"]
max_requests_per_second_per_address = 1000
"""
        )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    open_to_browsers(service)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def nginx(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path_factory.mktemp("nginx"))
    try:
        service.start("--bind", f"unix:{nginx.upstream}")
        nginx.start()
        yield nginx
    finally:
        nginx.stop()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Nginx]:
    """Has nothing behind it."""
    nginx = Nginx(tmp_path / "nginx")
    nginx.start()
    yield nginx
    nginx.stop()


def collect(
    nginx: Nginx, path: str = "/collect", size: int = 0, headers: Mapping[str, str] = PAGE
) -> Answer:
    body = json.dumps(HIT).encode()
    return nginx.request("POST", path, body.ljust(size), headers)


def batch(nginx: Nginx, size: int = 0, *, key: str = "web-token", **headers: str) -> Answer:
    body = json.dumps({"batch": [CALL]}).encode()
    fields = {"Authorization": authorization(key), **headers}
    return nginx.request("POST", "/v1/batch", body.ljust(size), fields)


def readable(answer: Answer) -> tuple[int, str | None]:
    """Status and code of an answer that the page can read."""
    status, headers, body = answer
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-allow-credentials"] == "true"
    assert "Origin" in headers["vary"]
    assert "www-authenticate" not in headers
    return status, json.loads(body)["code"] if body and status >= 400 else None


def test_a_hit_is_accepted_with_the_address_that_nginx_saw(service: Service, nginx: Nginx) -> None:
    assert readable(collect(nginx, headers={**PAGE, "X-Forwarded-For": "6.6.6.6"})) == (204, None)
    assert readable(collect(nginx, "/collect/p-1")) == (204, None)
    event = json.loads((service.folder / "events.jsonl").read_text("utf-8").splitlines()[-1])
    assert event["context"]["ip"] == "127.0.0.1"


def test_refusals_of_the_service_come_as_they_are(nginx: Nginx) -> None:
    assert readable(collect(nginx, "/collect/p-2")) == (403, "unknown_project")
    assert collect(nginx, headers={"Origin": "https://evil.example.com"})[0] == 403
    wrong = batch(nginx, key="wrong", Origin=ORIGIN)
    assert readable(wrong) == (401, "unauthorized")
    assert "message" in json.loads(wrong[2])


@pytest.mark.parametrize("path", ["/collect", "/collect/p-1", "/v1/t", "/v1/batch", "/api/s/track"])
def test_a_preflight_is_answered(nginx: Nginx, path: str) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Headers": "authorization,content-type"}
    answer = nginx.request("OPTIONS", path, None, headers)
    assert readable(answer) == (204, None)
    assert answer[1]["access-control-allow-headers"] == "authorization,content-type"


def test_each_path_has_a_limit_of_its_own(nginx: Nginx) -> None:
    assert collect(nginx, size=262_144)[0] == 204
    assert readable(collect(nginx, size=262_145)) == (413, "too_large")
    assert readable(collect(nginx, size=3_000_000)) == (413, "too_large")
    assert batch(nginx, 1_048_576)[0] == 200
    assert readable(batch(nginx, 1_048_577, Origin=ORIGIN)) == (413, "too_large")
    assert nginx.track(b" " * 65_537)[0] == 400


def test_without_a_service_a_page_learns_that_it_may_send_again(alone: Nginx) -> None:
    for answer in (collect(alone), batch(alone, Origin=ORIGIN)):
        assert readable(answer) == (503, "no_answer")
        assert answer[1]["retry-after"] == "5"


def test_an_origin_that_is_none_is_not_echoed(alone: Nginx) -> None:
    answer = collect(alone, headers={"Origin": "*"})
    assert answer[0] == 503
    assert "access-control-allow-origin" not in answer[1]


def test_pages_are_limited_by_address_but_neither_preflights_nor_servers(tmp_path: Path) -> None:
    slow = {
        "zone=segmentstream_collect:4m rate=50r/s;": "zone=segmentstream_collect:4m rate=1r/m;",
        "zone=segmentstream_sdks:4m rate=50r/s;": "zone=segmentstream_sdks:4m rate=1r/m;",
        "zone=segmentstream_collect burst=500": "zone=segmentstream_collect burst=2",
        "zone=segmentstream_sdks burst=500": "zone=segmentstream_sdks burst=2",
    }
    nginx = Nginx(tmp_path / "nginx", slow)
    nginx.start()
    try:
        with StandIn(nginx.upstream, lambda _seen: Reply(204)):
            for path in ("/collect", "/v1/t"):
                asked = [nginx.request("OPTIONS", path, None, PAGE)[0] for _ in range(10)]
                assert 429 not in asked
            assert [batch(nginx)[0] for _ in range(10)] == [204] * 10
            for send in (collect, lambda to: batch(to, Origin=ORIGIN)):
                answers = [send(nginx) for _ in range(5)]
                assert [answer[0] for answer in answers] == [204, 204, 204, 429, 429]
                assert readable(answers[-1]) == (429, "too_many_requests")
                assert answers[-1][1]["retry-after"] == "10"
    finally:
        nginx.stop()


def test_a_burst_of_a_page_is_taken_at_once(nginx: Nginx) -> None:
    with concurrent.futures.ThreadPoolExecutor(20) as clients:
        sent = [clients.submit(collect, nginx) for _ in range(100)]
        assert {future.result()[0] for future in sent} == {204}


@pytest.mark.parametrize(
    "path",
    [
        *("/collector", "/collect/", "/collect/a/b", "/v1x", "/v1/../metrics", "/v1/..%2fmetrics"),
        *("/api/x", "/beacon", "/collect/../metrics", "/.problem/sdk/too_many"),
    ],
)
def test_other_paths_stay_hidden(alone: Nginx, path: str) -> None:
    with StandIn(alone.upstream) as service:
        assert alone.request("POST", path, b"{}", PAGE)[0] == 404
    assert service.seen == []


def test_no_log_shows_a_write_key(nginx: Nginx, alone: Nginx) -> None:
    paths = (
        f"/v1/projects/{BROWSER_TOKEN}/settings",
        f"/projects/{BROWSER_TOKEN}/settings",
        f"/sourceConfig/?writeKey={BROWSER_TOKEN}",
    )
    for path in paths:
        assert nginx.request("GET", path, None, {"Origin": ORIGIN})[0] == 200
        assert alone.request("GET", path)[0] == 503
    alone.request("POST", f"/beacon/v1/batch?writeKey={BROWSER_TOKEN}", b"{}")
    for each in (nginx, alone):
        for log in each.folder.glob("*.log"):
            assert BROWSER_TOKEN not in log.read_text(), log
    assert '"path":"/v1/projects/KEY/settings"' in alone.access_log.read_text()
