from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime

import pytest

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.transport.retry_after import (
    RETRY_AFTER_CAP_SECONDS,
    retry_after_seconds,
)
from segmentstream_api.destinations.transport.sender import (
    MAX_ANSWER_BYTES,
    Answer,
    HttpSender,
    outcome_of,
)
from segmentstream_api.testing import Peer, answer, closed_port

OK = answer("200 OK", b"fine")
LONG_HEADER = b"HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
LONG_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
DEADLINE_SECONDS = 0.3
NO_ANSWER = Retry("no answer within 0.3 s")
NO_FINAL_ANSWER = Retry("interim answers (1xx) came, but no final one")
TOO_LONG_SECONDS = 2.5  # far above the deadlines below, far below what the peers would take


@pytest.fixture
def sender():
    sender = HttpSender(timeout_seconds=5)
    yield sender
    sender.close()


@pytest.fixture
def hasty(certificate):
    sender = HttpSender(timeout_seconds=DEADLINE_SECONDS, ca_file=certificate)
    yield sender
    sender.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 with its key, in one PEM file."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return str(both)


@pytest.fixture(scope="session")
def server_tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(params=["http", "https"])
def tls(request, server_tls):
    return server_tls if request.param == "https" else None


def post(sender, url, **options):
    return sender.post(url, data=b'{"a":1}', headers={"X-One": "1"}, **options)


# What is sent


def test_the_request_carries_the_body_and_the_headers_that_were_given(sender):
    with Peer(OK) as peer:
        post(sender, f"{peer.url}/in", params={"key": "a b"}, auth=("user", "pass"))
    (request,) = peer.received
    assert request.line == "POST /in?key=a+b HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert request.headers["x-one"] == "1"
    assert request.headers["authorization"] == "Basic dXNlcjpwYXNz"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("segmentstream-api/")


def test_the_answer_has_status_headers_and_body(sender):
    with Peer(answer("418 I'm a teapot", b"short and stout", X_Pot="tea")) as peer:
        result = post(sender, peer.url)
    assert isinstance(result, Answer)
    assert (result.status, result.body) == (418, b"short and stout")
    assert result.headers["x-pot"] == "tea"


def test_proxies_and_netrc_of_the_environment_are_not_used(sender, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    monkeypatch.setenv("http_proxy", closed_port())
    with Peer(OK) as peer:
        post(sender, peer.url)
    assert "authorization" not in peer.received[0].headers


def test_cookies_are_not_kept(sender):
    with Peer(answer("200 OK", Set_Cookie="session=1; Path=/"), keep_alive=True) as peer:
        post(sender, peer.url)
        post(sender, peer.url)
        sender.close()
    assert "cookie" not in peer.received[1].headers


# Connections


def test_a_connection_is_used_again(sender, tls, hasty):
    with Peer(OK, keep_alive=True, tls=tls) as peer:
        answers = [post(hasty, peer.url) for _ in range(3)]
        hasty.close()
    assert [a.status for a in answers] == [200, 200, 200]
    assert peer.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced(sender):
    with Peer(OK, keep_alive=True) as peer:
        first = post(sender, peer.url)
        peer.hang_up()
        second = post(sender, peer.url)
        sender.close()
    assert [first.status, second.status] == [200, 200]
    assert peer.connections == 2


def test_an_idle_connection_does_not_use_up_the_next_deadline(hasty):
    with Peer(OK, keep_alive=True) as peer:
        post(hasty, peer.url)
        threading.Event().wait(0.35)  # longer than one exchange may take
        result = post(hasty, peer.url)
        hasty.close()
    assert result.status == 200
    assert peer.connections == 1


def test_a_host_of_several_addresses_is_reached_at_the_one_that_answers(sender):
    with Peer(OK) as peer:  # on 127.0.0.1 alone; localhost is often ::1 first
        assert post(sender, peer.url.replace("127.0.0.1", "localhost")).status == 200


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(sender, status):
    with (
        Peer(OK) as target,
        Peer(answer(f"{status} Elsewhere", Location=target.url)) as peer,
    ):
        outcome = outcome_of(post(sender, peer.url))
        assert target.connections == 0
    assert outcome == Retry(f"HTTP {status}: redirects are not followed", misconfigured=True)


def test_no_more_than_the_limit_is_read_of_a_redirect_either(hasty):
    with Peer(_endless("302 Found\r\nLocation: /next")) as peer:
        result = post(hasty, peer.url)
    assert isinstance(result, Answer)
    assert len(result.body) == MAX_ANSWER_BYTES


# The deadline


@pytest.fixture
def ended_in_time(hasty):
    """Sends a request that gets no answer, and says why; it must not take long to do so."""

    def send(url, data=b""):
        started = time.monotonic()
        outcome = hasty.post(url, data=data, headers={})
        assert time.monotonic() - started < TOO_LONG_SECONDS
        return outcome

    return send


@pytest.mark.parametrize("slow", ["headers", "body"])
def test_a_server_that_drips_is_ended_by_the_deadline(ended_in_time, tls, slow):
    prompt, dripping = (b"", LONG_HEADER) if slow == "headers" else (LONG_BODY, b"b" * 60)

    def drip(_request):
        yield prompt
        yield from (bytes([byte]) for byte in dripping)

    # Each byte comes well within the deadline; all of them take ten times as long.
    with Peer(drip, pause_seconds=0.06, tls=tls) as peer:
        assert ended_in_time(peer.url) == NO_ANSWER


def test_a_server_that_says_continue_without_end_is_not_read_on(ended_in_time):
    def go_on(_request):
        while True:
            yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000

    with Peer(go_on) as peer:
        assert ended_in_time(peer.url) == NO_FINAL_ANSWER


def test_a_server_that_never_answers_is_ended_by_the_deadline(ended_in_time, tls):
    with Peer(None, tls=tls) as peer:
        assert ended_in_time(peer.url) == NO_ANSWER


class Silent(Peer):
    def converse(self, connection):
        self.stopping.wait()


def test_a_tls_handshake_that_never_ends_is_ended_by_the_deadline(ended_in_time):
    with Silent(None) as peer:
        assert ended_in_time(peer.url.replace("http:", "https:")) == NO_ANSWER


def test_a_server_that_accepts_no_connection_is_ended_by_the_deadline(ended_in_time):
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),  # the only one that it takes
    ):
        outcome = ended_in_time(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert outcome == Retry("could not connect within 0.3 s")


class SlowReader(Peer):
    """Takes 5 MB/s: each piece of the request gets through in time, the whole does not."""

    def converse(self, connection):
        started, taken = time.monotonic(), 0
        while not self.stopping.wait(0.005):
            while taken < (time.monotonic() - started) * 5e6:
                taken += len(connection.recv(65_536)) or 10**9


def test_a_server_that_reads_slowly_is_ended_by_the_deadline(ended_in_time, tls):
    with SlowReader(None, tls=tls) as peer:
        assert ended_in_time(peer.url, data=bytes(30_000_000)) == NO_ANSWER


def test_an_exchange_in_time_is_not_ended(hasty, tls):
    with Peer(lambda _: [OK[:20], OK[20:]], pause_seconds=0.05, tls=tls) as peer:
        assert post(hasty, peer.url).status == 200


# Long answers


def _endless(status):
    def replies(_request):
        yield f"HTTP/1.1 {status}\r\n\r\n".encode()
        while True:
            yield bytes(65_536)

    return replies


def test_a_long_answer_is_read_up_to_the_limit_and_its_connection_closed(sender):
    with Peer(answer("200 OK", b"x" * 1_000_000), keep_alive=True) as peer:
        result = post(sender, peer.url)
        again = post(sender, peer.url)
    assert result.body == b"x" * MAX_ANSWER_BYTES
    assert again.status == 200
    assert peer.connections == 2


def test_an_answer_of_exactly_the_limit_keeps_its_connection(sender):
    with Peer(answer("200 OK", b"x" * MAX_ANSWER_BYTES), keep_alive=True) as peer:
        assert [len(post(sender, peer.url).body) for _ in range(2)] == [MAX_ANSWER_BYTES] * 2
        sender.close()
    assert peer.connections == 1


def test_an_endless_answer_is_read_up_to_the_limit(hasty):
    with Peer(_endless("200 OK")) as peer:
        assert len(post(hasty, peer.url).body) == MAX_ANSWER_BYTES


# Failures


def test_a_refused_connection_is_retried(sender):
    assert post(sender, closed_port()) == Retry("could not connect")


def test_an_unknown_host_is_a_configuration_fault(sender):
    result = post(sender, "http://no-such-host.invalid/")
    assert result == Retry("the host name could not be resolved", misconfigured=True)


def test_a_certificate_that_nobody_vouches_for_is_a_configuration_fault(sender, server_tls):
    with Peer(OK, tls=server_tls) as peer:
        result = post(sender, peer.url)
    assert result == Retry("the TLS certificate was refused", misconfigured=True)
    assert peer.received == []


def test_a_certificate_for_another_host_is_a_configuration_fault(hasty, server_tls):
    with Peer(OK, tls=server_tls) as peer:
        result = post(hasty, peer.url.replace("127.0.0.1", "localhost"))
    assert result == Retry("the TLS certificate was refused", misconfigured=True)


def test_tls_to_a_plain_server_is_a_configuration_fault(sender):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        result = post(sender, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(10)
    assert result == Retry("no TLS connection could be made", misconfigured=True)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection was closed too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "the answer was cut short"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "the answer was cut short",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 9999 Much\r\n\r\n", "the answer was not HTTP"),
    ],
)
def test_half_an_answer_or_none_is_retried(sender, said, reason):
    with Peer(said) as peer:
        assert post(sender, peer.url) == Retry(reason)


def test_what_cannot_be_sent_is_a_configuration_fault_and_not_shown(sender):
    expected = Retry("the URL or a header cannot be sent", misconfigured=True)
    assert sender.post("http://", data=b"", headers={}) == expected
    assert sender.post("http://[::1/", data=b"", headers={}) == expected
    with Peer(OK) as peer:
        assert sender.post(peer.url, data=b"", headers={"X": "new\nline"}) == expected
        assert sender.post(peer.url, data=b"", headers={"X": "snow ☃"}) == expected


@pytest.mark.parametrize(
    "replies",
    [None, b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n: broken\r\nanswer-secret\r\n\r\n", OK],
)
def test_neither_reasons_nor_logs_show_url_header_or_body(hasty, caplog, replies):
    caplog.set_level(logging.DEBUG)
    with Peer(replies) as peer:
        result = hasty.post(
            f"{peer.url}/path-secret",
            params={"api_key": "query-secret"},
            headers={"X-Key": "header-secret"},
            auth=("me", "password-secret"),
            data=b"body-secret",
        )
    shown = caplog.text + (result.reason if isinstance(result, Retry) else "")
    assert "secret" not in shown
    assert "127.0.0.1" in caplog.text, "what is harmless stays in the log"


# Interim answers


def interim(*statuses):
    return b"".join(f"HTTP/1.1 {status} Interim\r\nX: y\r\n\r\n".encode() for status in statuses)


INTERIM = [[100], [102], [103], [104], [199], [102, 103], [100, 102]]


@pytest.mark.parametrize("final", [200, 400, 429, 500])
@pytest.mark.parametrize("statuses", INTERIM, ids=str)
def test_interim_answers_are_read_past(hasty, tls, statuses, final):
    with Peer(interim(*statuses) + answer(f"{final} Final"), tls=tls) as peer:
        assert post(hasty, peer.url).status == final


@pytest.mark.parametrize("statuses", INTERIM, ids=str)
def test_an_event_is_not_settled_by_the_answer_to_the_event_before(certificate, tls, statuses):
    """With keep-alive, the final answer to the first request must not be left on the connection."""
    finals = iter(["200 OK", "500 Internal Server Error", "200 OK"])
    replies = lambda _: [interim(*statuses), answer(next(finals))]  # noqa: E731
    pause = {"pause_seconds": 0.05, "keep_alive": True, "tls": tls}
    sender = HttpSender(timeout_seconds=5, ca_file=certificate)
    with Peer(replies, **pause) as peer:
        assert [post(sender, peer.url).status for _ in range(3)] == [200, 500, 200]
        assert peer.connections == 1
    sender.close()


def test_interim_answers_without_end_are_no_answer(sender):
    with Peer(interim(*[102] * 100) + OK, keep_alive=True) as peer:
        assert post(sender, peer.url) == NO_FINAL_ANSWER
        assert post(sender, peer.url) == NO_FINAL_ANSWER
        assert peer.connections == 2, "a connection without a final answer is not used again"


def test_interim_answers_do_not_extend_the_deadline(hasty):
    with Peer(lambda _: iter(lambda: interim(102), None), pause_seconds=0.1) as peer:
        assert post(hasty, peer.url) == NO_ANSWER


def test_an_upgrade_that_was_not_asked_for_is_no_answer(sender):
    with Peer(interim(101) + OK, keep_alive=True) as peer:
        assert post(sender, peer.url) == NO_FINAL_ANSWER
        assert post(sender, peer.url) == NO_FINAL_ANSWER
        assert peer.connections == 2


# What an answer means


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([200, 201, 202, 204, 299], lambda _: Delivered()),
        ([408, 425, 429, 500, 502, 503, 504, 599], Retry),
        (
            [401, 402, 403, 404, 405, 407, 421, 426, 451],
            lambda reason: Retry(reason, misconfigured=True),
        ),
        ([400, 409, 410, 413, 415, 422, 423, 424], Rejected),
        (
            [300, 304, 399],
            lambda reason: Retry(f"{reason}: redirects are not followed", misconfigured=True),
        ),
        ([101, 103, 199, 600, 999], Retry),
    ],
)
def test_the_status_decides_the_outcome(statuses, expected):
    for status in statuses:
        assert outcome_of(Answer(status, {}, b"vendor text")) == expected(f"HTTP {status}")


@pytest.mark.parametrize("status", [400, 408, 423, 425, 429, 500, 503])
def test_the_delay_that_was_asked_for_is_kept(sender, status):
    with Peer(answer(f"{status} Later", Retry_After="17")) as peer:
        assert outcome_of(post(sender, peer.url)) == Retry(f"HTTP {status}", after_seconds=17)


def test_a_failed_exchange_is_its_own_outcome():
    failed = Retry("could not connect")
    assert outcome_of(failed) is failed


# Retry-After

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("3600", 3600),
        ("3601", RETRY_AFTER_CAP_SECONDS),
        ("315360000", RETRY_AFTER_CAP_SECONDS),
        ("9" * 5000, RETRY_AFTER_CAP_SECONDS),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
        ("Monday, 23-Nov-26 12:01:30 GMT", 90),
        ("Mon Nov 23 12:01:30 2026", 90),
        ("Mon, 23 Nov 2026 12:00:00 GMT", 0),
        ("Mon, 23 Nov 2036 12:00:00 GMT", RETRY_AFTER_CAP_SECONDS),
        ("Mon, 23 Nov 2026 11:59:59 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        (None, None),
        ("", None),
        ("-1", None),
        ("-Infinity", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("1_000", None),
        ("٣", None),
        ("5, 10", None),
        ("soon", None),
        ("Mon, 99 Nov 2026 12:01:30 GMT", None),
        ("Mon, 23 Nov 2026 12:01:30 +99999999999", None),
        ("23 Nov 999999999999999999999999999999 12:01:30", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds


def test_a_date_without_a_zone_is_utc_whatever_the_zone_of_this_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after_seconds("Mon Nov 23 12:01:30 2026", NOW) == 90
    finally:
        monkeypatch.undo()
        time.tzset()


def test_no_text_breaks_the_reading_of_retry_after():
    for value in [" ", ",", "Mon,", ":", "1 2 3 4 5 6 7 8", "Mon, 23 Nov 99999999 1:1:1", "\x00"]:
        assert retry_after_seconds(value, NOW) is None
