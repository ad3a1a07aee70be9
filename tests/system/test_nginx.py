"""The contract through the real nginx and deploy/nginx.conf, as the README has it installed."""

from __future__ import annotations

import concurrent.futures
import json
import re
import shutil
import ssl
import subprocess
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.nginx import Nginx, needs_nginx
from tests.system.outbox import wait_until
from tests.system.service import (
    CHECKOUT,
    DOCUMENTED_EXAMPLE,
    Service,
    authorization,
    connected,
    raw_exchange,
)
from tests.system.stand_in import Reply, StandIn

pytestmark = needs_nginx

CASES = CHECKOUT / "tests" / "cases" / "track"
EVENT = json.dumps(DOCUMENTED_EXAMPLE).encode()
AUTHORIZED = {"Authorization": authorization(), "Content-Type": "application/json"}
CANARY = "canary-4711"  # stands for a secret: no log may show it


def cases(kind: str) -> list:
    return [pytest.param(path, id=path.stem) for path in sorted((CASES / kind).glob("*.json"))]


def padded(size: int) -> bytes:
    return EVENT + b" " * (size - len(EVENT))


def code(answer: tuple[int, dict[str, str], bytes]) -> str:
    assert answer[1]["content-type"] == "application/problem+json"
    problem = json.loads(answer[2])
    assert problem["status"] == answer[0]
    found: str = problem["code"]
    return found


@dataclass(frozen=True)
class Front:
    service: Service
    nginx: Nginx

    def archive(self) -> list[dict]:
        lines = (self.service.folder / "events.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    nginx = Nginx(tmp_path_factory.mktemp("nginx"))
    try:
        service.start("--bind", f"unix:{nginx.upstream}")
        nginx.start()
        yield Front(service, nginx)
    finally:
        nginx.stop()
        service.stop()


@pytest.fixture
def new_nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Makes and starts one with nothing behind it yet; `changed` as in Nginx."""
    made: list[Nginx] = []

    def make(changed: dict[str, str] | None = None) -> Nginx:
        made.append(Nginx(tmp_path / f"nginx-{len(made)}", changed))
        made[-1].start()
        return made[-1]

    yield make
    for nginx in made:
        nginx.stop()


# What goes through


@pytest.mark.parametrize("path", cases("valid"))
def test_a_valid_event_is_acknowledged(front: Front, path: Path) -> None:
    body = json.dumps(json.loads(path.read_text("utf-8"))["document"]).encode()
    status, headers, answer = front.nginx.track(body)
    assert (status, answer) == (204, b"")
    assert "content-type" not in headers


def test_an_event_arrives_as_it_was_sent(front: Front) -> None:
    assert front.nginx.track(EVENT)[0] == 204
    sent = DOCUMENTED_EXAMPLE["event"]
    assert sent in [event["event"] for event in front.archive()]


@pytest.mark.parametrize("path", cases("invalid"))
def test_an_invalid_event_gets_the_answer_of_the_service_byte_for_byte(
    front: Front, path: Path
) -> None:
    body = json.dumps(json.loads(path.read_text("utf-8"))["document"]).encode()
    status, _, answer = front.nginx.track(body)
    assert (status, json.loads(answer)["code"]) == (400, "invalid_event")
    assert answer == front.service.request("POST", "/track", body, AUTHORIZED)[2]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        pytest.param("POST", "/track", EVENT, {}, id="no token"),
        pytest.param("POST", "/track", EVENT, {"Authorization": "Basic x"}, id="broken token"),
        pytest.param("POST", "/track", EVENT, {"Authorization": "Bearer abc123"}, id="bearer"),
        pytest.param("POST", "/track", padded(65_537), {}, id="no token, too large"),
        pytest.param("POST", "/track", EVENT, {"Authorization": authorization()}, id="no type"),
        pytest.param("POST", "/track", b"{", AUTHORIZED, id="no JSON"),
        pytest.param("POST", "/track", b"", AUTHORIZED, id="empty"),
        pytest.param("POST", "/track", padded(65_537), AUTHORIZED, id="too large"),
        pytest.param(
            "POST", "/track", EVENT, {**AUTHORIZED, "Content-Encoding": "gzip"}, id="compressed"
        ),
        pytest.param("GET", "/track", None, AUTHORIZED, id="GET"),
        pytest.param("HEAD", "/track", None, AUTHORIZED, id="HEAD"),
        pytest.param("OPTIONS", "/track", None, {}, id="OPTIONS"),
        pytest.param("BREW", "/track", None, AUTHORIZED, id="BREW"),
        pytest.param("TRACE", "/track", None, AUTHORIZED, id="TRACE, refused by nginx"),
        pytest.param("TRACE", "/docs", None, AUTHORIZED, id="TRACE of a page"),
        pytest.param("PUT", "/track", padded(65_537), AUTHORIZED, id="PUT, too large"),
        pytest.param("GET", "/nowhere", None, {}, id="no such path"),
        pytest.param("POST", "/nowhere", padded(65_537), {}, id="no such path, too large"),
        pytest.param("GET", "/docs/nothing", None, {}, id="no such page"),
        pytest.param("POST", "/docs", EVENT, AUTHORIZED, id="POST to a page"),
        pytest.param("GET", "/docs", None, {}, id="docs"),
        pytest.param("GET", "/docs/docs.js", None, {}, id="script"),
        pytest.param("GET", "/docs/swagger-ui/swagger-ui-bundle.js", None, {}, id="Swagger UI"),
        pytest.param("HEAD", "/docs", None, {}, id="HEAD of a page"),
        pytest.param("GET", "/openapi.json", None, {}, id="OpenAPI"),
        pytest.param("GET", "/schemas/track.json", None, {}, id="schema"),
        pytest.param("GET", "/schemas/config.json", None, {}, id="schema that is not public"),
    ],
)
def test_everything_is_answered_as_without_nginx(
    front: Front, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    through = front.nginx.request(method, path, body, headers)
    direct = front.service.request(method, path, body, headers)
    names = ("content-type", "www-authenticate", "allow", "etag", "content-security-policy")
    assert through[0] == direct[0]
    assert {name: through[1].get(name) for name in names} == {
        name: direct[1].get(name) for name in names
    }
    assert through[2] == direct[2]


def test_a_page_is_not_sent_again_to_whoever_has_it(front: Front) -> None:
    etag = front.nginx.request("GET", "/docs")[1]["etag"]
    assert front.nginx.request("GET", "/docs", headers={"If-None-Match": etag})[0] == 304


@pytest.mark.parametrize("chunked", [False, True])
def test_65536_bytes_pass_and_one_more_is_too_large(front: Front, chunked: bool) -> None:
    answer = front.nginx.track(padded(65_536), chunked=chunked)
    assert answer[0] == 204
    for size in (65_537, 70_000, 3_000_000):
        answer = front.nginx.track(padded(size), chunked=chunked)
        assert (answer[0], code(answer)) == (400, "too_large")


def test_a_body_of_the_largest_size_lies_in_no_file_of_nginx(front: Front) -> None:
    bodies = front.nginx.folder / "bodies"
    before = bodies.stat().st_mtime_ns
    for chunked in (False, True) * 10:
        assert front.nginx.track(padded(65_536), chunked=chunked)[0] == 204
    assert bodies.stat().st_mtime_ns == before


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl (the package curl)")
def test_http_2_is_spoken(front: Front, tmp_path: Path) -> None:
    (tmp_path / "event").write_bytes(EVENT)
    for size, status in ((0, "204"), (65_537 - len(EVENT), "400")):
        (tmp_path / "event").write_bytes(EVENT + b" " * size)
        run = subprocess.run(
            [
                *("curl", "-s", "--http2", "--cacert", str(front.nginx.folder / "certificate.pem")),
                *("-u", "abc123:", "-H", "Content-Type: application/json"),
                *("--data-binary", f"@{tmp_path / 'event'}", "-o", str(tmp_path / "answer")),
                *("-w", "%{http_version} %{http_code}"),
                f"https://127.0.0.1:{front.nginx.port}/track",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert run.stdout == f"2 {status}"
    assert json.loads((tmp_path / "answer").read_bytes())["code"] == "too_large"


def test_plain_http_on_the_port_of_https_is_a_bad_request(front: Front) -> None:
    raw = raw_exchange(front.nginx.port, b"POST /track HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert (head.split()[1], json.loads(body)["code"]) == (b"400", "bad_request")


def test_a_malformed_chunk_is_400_and_the_service_never_hears_of_it(front: Front) -> None:
    """In HTML, the one page of nginx's own: here it cannot tell its 400 from the service's."""
    before = len(front.archive())
    head = "".join(f"{name}: {value}\r\n" for name, value in AUTHORIZED.items())
    message = f"POST /track HTTP/1.1\r\nHost: x\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    raw = raw_exchange(front.nginx.port, message.encode(), tls=front.nginx.tls)
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert len(front.archive()) == before


# What the service gets, and does not get


def test_what_a_client_says_about_itself_is_replaced(new_nginx: Callable[..., Nginx]) -> None:
    nginx = new_nginx()
    claims = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "http",
        "Forwarded": "for=203.0.113.7",
        "X-Real-IP": "203.0.113.7",
        "X-Request-ID": "mine",
        "X_Forwarded_For": "203.0.113.7",
    }
    with StandIn(nginx.upstream) as service:
        assert nginx.track(EVENT, claims)[0] == 204
        assert nginx.track(padded(65_537), claims)[0] == 204  # a stand-in takes anything
    for seen in service.seen:
        assert seen.headers["x-forwarded-for"] == "127.0.0.1"
        assert seen.headers["x-forwarded-proto"] == "https"
        assert "203.0.113.7" not in str(seen.headers)
        assert seen.headers["authorization"] == authorization()
        assert len(seen.headers["x-request-id"]) == 32
    assert len({seen.headers["x-request-id"] for seen in service.seen}) == 2
    assert service.seen[0].headers["x-request-id"] in nginx.access_log.read_text()
    assert [(seen.headers["content-length"], len(seen.body)) for seen in service.seen] == [
        (str(len(EVENT)), len(EVENT)),
        ("65537", 0),
    ]


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/health", "/ready", "/version", "/", "/trackers", "/track/", "/docsx"),
        *("/docs/../metrics", "/docs/%2e%2e/metrics", "/schemas/..%2fmetrics", "//metrics"),
        *("/.problem/too_large", "/favicon.ico", "/openapi.json/"),
    ],
)
@pytest.mark.parametrize("body", [None, padded(65_537)], ids=["", "large"])
def test_other_paths_do_not_reach_the_service(
    new_nginx: Callable[..., Nginx], path: str, body: bytes | None
) -> None:
    nginx = new_nginx()
    with StandIn(nginx.upstream) as service:
        for method in ("GET", "POST"):
            answer = nginx.request(method, path, body, AUTHORIZED)
            assert (answer[0], code(answer)) == (404, "not_found")
    assert service.seen == []


@pytest.mark.parametrize(
    ("status", "headers"),
    [(400, {}), (404, {}), (405, {"Allow": "POST"}), (500, {}), (503, {"Retry-After": "5"})],
)
def test_what_the_service_says_is_passed_on(
    new_nginx: Callable[..., Nginx], status: int, headers: dict[str, str]
) -> None:
    nginx = new_nginx()
    body = b'{"code": "its own"}'
    with StandIn(nginx.upstream, lambda _seen: Reply(status, headers, body)):
        answer = nginx.track(EVENT)
    assert (answer[0], answer[2]) == (status, body)
    assert {name: answer[1][name.lower()] for name in headers} == headers


def test_the_path_that_gunicorn_makes_is_closed_to_strangers(front: Front) -> None:
    assert front.nginx.upstream.stat().st_mode & 0o007 == 0


# When the service does not answer


def test_without_a_service_the_client_is_told_to_send_again(
    new_nginx: Callable[..., Nginx],
) -> None:
    nginx = new_nginx()
    for body in (EVENT, padded(65_537)):
        answer = nginx.track(body)
        assert (answer[0], code(answer)) == (502, "no_answer")
        assert answer[1]["retry-after"] == "5"
    assert code(nginx.request("GET", "/docs")) == "no_answer"


def test_a_service_that_takes_too_long_is_not_waited_for(new_nginx: Callable[..., Nginx]) -> None:
    nginx = new_nginx({"proxy_read_timeout 60s;": "proxy_read_timeout 1s;"})
    with StandIn(nginx.upstream, lambda _seen: Reply(delay_seconds=3)) as service:
        answer = nginx.track(EVENT)
    assert (answer[0], code(answer)) == (504, "no_answer")
    assert answer[1]["retry-after"] == "5"
    assert len(service.seen) == 1


def test_a_request_whose_answer_broke_off_is_never_sent_twice(
    new_nginx: Callable[..., Nginx],
) -> None:
    """Also on a connection that was kept, where nginx would otherwise try another one."""
    nginx = new_nginx()
    cut = StandIn(nginx.upstream, lambda seen: Reply(None if b"cut" in seen.body else 204))
    with cut as service:
        for _ in range(5):
            assert nginx.track(b"kept")[0] == 204
            answer = nginx.track(b"cut")
            assert (answer[0], code(answer)) == (502, "no_answer")
    assert Counter(seen.body for seen in service.seen) == {b"kept": 5, b"cut": 5}


# Failed authentication


def test_only_failed_authentication_is_limited(
    front: Front, new_nginx: Callable[..., Nginx]
) -> None:
    """A flood of wrong tokens, beside it good ones from the same address."""
    nginx = new_nginx()
    nginx.upstream.symlink_to(front.nginx.upstream)
    with concurrent.futures.ThreadPoolExecutor(60) as clients:
        bad = [clients.submit(nginx.track, EVENT, token="wrong") for _ in range(60)]
        good = [clients.submit(nginx.track, EVENT) for _ in range(60)]
        refused = [future.result() for future in bad]
        accepted = [future.result()[0] for future in good]
    assert accepted == [204] * 60
    assert {answer[0] for answer in refused} == {401, 429}
    limited = [answer for answer in refused if answer[0] == 429]
    assert {code(answer) for answer in limited} == {"too_many_failures"}
    assert {answer[1]["retry-after"] for answer in limited} == {"30"}
    for answer in refused:
        if answer[0] == 401:
            assert answer[1]["www-authenticate"] == 'Basic realm="SegmentStream"'


# Logs


def test_no_log_shows_a_token_a_query_or_a_body(front: Front) -> None:
    nginx = front.nginx
    event = {"hitId": CANARY, "event": {"user": {"userId": CANARY}}}
    path = f"/track?token={CANARY}"
    headers = {**AUTHORIZED, "Authorization": authorization(CANARY), "X-Api-Token": CANARY}
    nginx.request("POST", path, json.dumps(event).encode(), headers)
    secret = authorization(CANARY).encode()
    for broken in (b"Authorization " + secret, b"Authorization: " + secret + b"\x00"):
        message = b"POST /track HTTP/1.1\r\nHost: x\r\n" + broken + b"\r\n\r\n"
        raw_exchange(nginx.port, message, tls=nginx.tls)
    wait_until(lambda: '"path":"/track"' in nginx.access_log.read_text())
    for log in nginx.folder.glob("*.log"):
        text = log.read_text()
        assert CANARY not in text, log
        assert authorization(CANARY) not in text, log
        assert authorization() not in text, log
    for line in nginx.access_log.read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        pytest.param("POST", "/track", EVENT, AUTHORIZED, id="accepted"),
        pytest.param("POST", "/track", b"{", AUTHORIZED, id="refused"),
        pytest.param("POST", "/track", EVENT, {}, id="no token"),
        pytest.param("POST", "/track", padded(65_537), AUTHORIZED, id="too large"),
        pytest.param("TRACE", "/track", None, AUTHORIZED, id="refused by nginx"),
        pytest.param("GET", "/nowhere", None, {}, id="unknown to nginx"),
    ],
)
def test_an_answer_has_the_name_of_its_request_in_the_log(
    front: Front, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> None:
    _, fields, _ = front.nginx.request(method, path, body, headers)
    request_id = fields["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    log = front.nginx.access_log
    wait_until(lambda: f'"request_id":"{request_id}"' in log.read_text())
    if body == b"{":
        assert f'"request_id": "{request_id}"' in front.service.log.read_text()


def test_nginx_does_not_tell_its_version(front: Front) -> None:
    assert front.nginx.request("GET", "/nowhere")[1]["server"] == "nginx"


def test_older_versions_of_tls_are_refused(front: Front) -> None:
    tls = ssl.create_default_context(cafile=str(front.nginx.folder / "certificate.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version|unsupported protocol"):
        connected(front.nginx.port, tls)
