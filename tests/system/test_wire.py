"""The contract over a real socket, gunicorn reached directly and through nginx: never 5xx."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.nginx import Nginx, needs_nginx
from tests.system.service import Service, authorization, raw_exchange

BODY = b'{"event": {"name": "Registered", "user": {"userId": "u1"}}}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
AUTHORIZED = b"Authorization: " + authorization().encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class Wire:
    """Where the bytes go: `tls` is None for gunicorn itself."""

    service: Service
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def through_nginx(self) -> bool:
        return self.tls is not None

    def exchange(self, message: bytes, *, close_after: bool = False) -> bytes:
        return raw_exchange(self.port, message, close_after=close_after, tls=self.tls)


@pytest.fixture(scope="module", params=["gunicorn", pytest.param("nginx", marks=needs_nginx)])
def wire(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    service = Service(tmp_path_factory.mktemp("wire"))
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    nginx = Nginx(tmp_path_factory.mktemp("nginx"))
    try:
        service.start("--bind", f"unix:{nginx.upstream}")
        deadline = time.monotonic() + 20
        while service.log.read_text().count("Booting worker") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if request.param == "nginx":
            nginx.start()
            yield Wire(service, nginx.port, nginx.tls)
        else:
            yield Wire(service, service.port)
    finally:
        nginx.stop()
        service.stop()


def archive(wire: Wire) -> list[str]:
    path: Path = wire.service.folder / "events.jsonl"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def request(*headers: bytes, body: bytes = b"", line: bytes = b"POST /track HTTP/1.1") -> bytes:
    return line + b"\r\nHost: localhost\r\n" + b"".join(headers) + b"\r\n" + body


def answer_to(wire: Wire, message: bytes, *, close_after: bool = False) -> tuple[int, dict]:
    raw = wire.exchange(message, close_after=close_after)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head, "the connection was closed without an answer"
    return int(head.split()[1]), json.loads(body) if body else {}


def test_a_plain_request_is_acknowledged(wire: Wire) -> None:
    message = request(AUTHORIZED, JSON, b"Content-Length: %d\r\n" % len(BODY), body=BODY)
    before = len(archive(wire))
    assert answer_to(wire, message) == (204, {})
    assert len(archive(wire)) == before + 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param([], "content_length", id="no length"),
        pytest.param([b"Content-Length: 0\r\n"], "content_length|invalid_json", id="empty"),
        pytest.param([b"Content-Length: 65537\r\n"], "too_large", id="one byte too many"),
        pytest.param(
            [b"Content-Length: 9" + b"9" * 30 + b"\r\n"], "too_large|bad_request", id="huge"
        ),
        pytest.param([b"Content-Length: 9" + b"9" * 5000 + b"\r\n"], "", id="thousands of digits"),
        pytest.param([b"Content-Length: -1\r\n"], "bad_request", id="negative"),
        pytest.param([b"Content-Length: ten\r\n"], "bad_request", id="no number"),
        pytest.param([b"Content-Length: +59\r\n"], "bad_request", id="signed"),
        pytest.param(
            [b"Content-Length: 59\r\n", b"Content-Length: 60\r\n"], "bad_request", id="two lengths"
        ),
        pytest.param([b"Transfer-Encoding: gzip\r\n"], "bad_request", id="unknown coding"),
        pytest.param([b"Transfer-Encoding: nonsense\r\n"], "bad_request", id="no coding"),
        pytest.param(
            [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 59\r\n"],
            "bad_request",
            id="chunked with a length",
        ),
    ],
)
def test_a_body_without_a_plain_length_is_refused(
    wire: Wire, headers: list[bytes], code: str
) -> None:
    before = len(archive(wire))
    body = b"" if b"Content-Length: 0\r\n" in headers else CHUNKED
    message = request(AUTHORIZED, JSON, *headers, body=body)
    status, problem = answer_to(wire, message)
    assert status == 400
    assert problem["code"] in (code.split("|") if code else [problem["code"]])
    assert len(archive(wire)) == before


def test_a_chunked_body_is_read(wire: Wire) -> None:
    before = len(archive(wire))
    message = request(AUTHORIZED, JSON, b"Transfer-Encoding: chunked\r\n", body=CHUNKED)
    assert answer_to(wire, message) == (204, {})
    assert len(archive(wire)) == before + 1


def test_a_chunked_body_that_is_too_large_is_refused(wire: Wire) -> None:
    chunk = b"%x\r\n%s\r\n" % (65_537, b" " * 65_537)
    message = request(
        AUTHORIZED, JSON, b"Transfer-Encoding: chunked\r\n", body=chunk + b"0\r\n\r\n"
    )
    status, problem = answer_to(wire, message)
    assert (status, problem["code"]) == (400, "too_large")


@pytest.mark.parametrize("sent", [b"", CHUNKED[:10], CHUNKED[: -len(b"0\r\n\r\n")]])
def test_a_chunked_body_without_its_last_chunk_is_not_kept(wire: Wire, sent: bytes) -> None:
    before = len(archive(wire))
    message = request(AUTHORIZED, JSON, b"Transfer-Encoding: chunked\r\n", body=sent)
    if wire.through_nginx:
        assert wire.exchange(message, close_after=True) == b""
    else:
        status, problem = answer_to(wire, message, close_after=True)
        assert (status, problem["code"]) == (400, "content_length")
    assert len(archive(wire)) == before


@pytest.mark.parametrize(
    "header",
    [
        b"X-Forwarded-Protocol: https\r\n",
        b"X-Forwarded-Ssl: on\r\n",
        b"X-Forwarded-Ssl: off\r\n",
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Protocol: ssl\r\nX-Forwarded-Ssl: on\r\n",
    ],
)
def test_headers_about_the_scheme_refuse_no_event(wire: Wire, header: bytes) -> None:
    message = request(AUTHORIZED, JSON, header, b"Content-Length: %d\r\n" % len(BODY), body=BODY)
    assert answer_to(wire, message) == (204, {})


@pytest.mark.parametrize("sent", [0, 7, len(BODY) - 1])
def test_a_truncated_body_is_refused_and_nothing_of_it_is_kept(wire: Wire, sent: int) -> None:
    before = len(archive(wire))
    message = request(AUTHORIZED, JSON, b"Content-Length: %d\r\n" % len(BODY), body=BODY[:sent])
    if wire.through_nginx:  # it hangs up, and the service never hears of it
        assert wire.exchange(message, close_after=True) == b""
    else:
        status, problem = answer_to(wire, message, close_after=True)
        assert (status, problem["code"]) == (400, "content_length")
    assert len(archive(wire)) == before


def test_a_body_of_65536_bytes_is_accepted(wire: Wire) -> None:
    body = BODY + b" " * (65_536 - len(BODY))
    message = request(AUTHORIZED, JSON, b"Content-Length: 65536\r\n", body=body)
    assert answer_to(wire, message) == (204, {})


def test_without_authorization_nothing_else_is_looked_at(wire: Wire) -> None:
    for message in (
        request(b"Content-Length: 99999999\r\n"),
        request(JSON, b"Content-Length: 3\r\n", body=b"{]}"),
        request(b"Content-Type: text/plain\r\n", b"Content-Length: 0\r\n"),
        request(b"Transfer-Encoding: chunked\r\n", body=b"0\r\n\r\n"),
    ):
        status, problem = answer_to(wire, message)
        assert (status, problem["code"]) == (401, "unauthorized")


def test_two_authorization_headers_are_none(wire: Wire) -> None:
    message = request(AUTHORIZED, AUTHORIZED, JSON, b"Content-Length: 2\r\n", body=b"{}")
    assert answer_to(wire, message)[0] in (400, 401)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /track HTTP/1.1", 405),
        (b"HEAD /track HTTP/1.1", 405),
        (b"OPTIONS /track HTTP/1.1", 405),
        (b"BREW /track HTTP/1.1", 405),
        (b"POST /nowhere HTTP/1.1", 404),
        (b"GET / HTTP/1.1", 404),
        (b"BREW /nowhere HTTP/1.1", 404),
        (b"POST /track HTTP/9.9", 400),
        (b"POST /tr\x00ck HTTP/1.1", 400),
        (b"nonsense", 400),
        (b"POST /" + b"a" * 9000 + b" HTTP/1.1", 400),
    ],
)
def test_other_methods_paths_and_what_is_not_http(wire: Wire, line: bytes, status: int) -> None:
    answer = wire.exchange(request(AUTHORIZED, b"Connection: close\r\n", line=line))
    assert int(answer.split()[1]) == status
    if status == 405:
        assert b"\nallow: post" in answer.lower()
    if status != 405 or b"HEAD" not in line:
        assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "header",
    [
        b"X: " + b"a" * 9000 + b"\r\n",
        b"X-%d: a\r\n" * 150 % tuple(range(150)),
        b"no colon\r\n",
        b"X\x00: a\r\n",
        b"Expect: the-impossible\r\n",
        b" folded: a\r\n",
    ],
    ids=["long", "many", "no colon", "NUL", "expectation", "folded"],
)
def test_broken_headers_get_400_and_a_problem_document(wire: Wire, header: bytes) -> None:
    status, problem = answer_to(wire, request(AUTHORIZED, JSON, header))
    assert status == 400
    assert problem["status"] == 400


def test_no_worker_died_of_all_this(wire: Wire) -> None:
    log = wire.service.log.read_text()
    assert "Exception" not in log
    assert "exited" not in log
    assert log.count("Booting worker") == len(wire.service.worker_pids()) == 2
