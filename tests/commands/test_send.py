from __future__ import annotations

import io
import json
import sys

import pytest

from segmentstream_api.testing import Peer, answer, closed_port
from tests.system.service import TOKEN

DOCUMENT = {"hitId": "h1", "event": {"name": "Registered", "user": {"userId": "u1"}}}


@pytest.fixture
def send(here, run, service):
    """To the service; its answers never hold the token."""

    def send(*argv, token=TOKEN):
        given = ["--token", token] if token else []
        code, out, err = run("send", "--url", f"http://127.0.0.1:{service.port}", *given, *argv)
        assert (token or TOKEN) not in out + err
        return code, out, err

    return send


def archived(service):
    lines = (service.folder / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_an_accepted_event_is_said_and_arrives(send, service):
    code, out, err = send("--event", "Signed Up", "--user-id", "u-7")
    assert (code, out, err) == (0, "204 No Content: the event was accepted.\n", "")
    last = archived(service)[-1]
    assert last["event"] == {"name": "Signed Up", "user": {"userId": "u-7"}}


def test_every_test_event_is_a_new_one(send, service):
    before = len(archived(service))
    assert [send()[0], send()[0]] == [0, 0]
    assert len(archived(service)) == before + 2


def test_a_document_is_sent_as_it_is(send, here, service):
    (here / "event.json").write_text(json.dumps(DOCUMENT))
    assert send("--file", "event.json")[0] == 0
    assert archived(service)[-1]["hitId"] == "h1"


def test_a_document_may_come_from_standard_input(send, monkeypatch, service):
    body = json.dumps({**DOCUMENT, "hitId": "h2"}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert send("--file", "-")[0] == 0
    assert archived(service)[-1]["hitId"] == "h2"


def test_a_refused_event_is_told_with_every_violation(send, here):
    (here / "event.json").write_text('{"hitId": 1, "event": {}}')
    code, out, _ = send("--file", "event.json")
    assert code == 1
    first, detail, *violations = out.splitlines()
    assert first == "400 Bad Request: The event does not match the schema"
    assert detail.startswith("2 violations")
    assert [line.split(": ")[0] for line in violations] == ["  /event/user", "  /hitId"]


@pytest.mark.parametrize("size", [65_537, 20_000_000])
def test_an_event_that_is_too_large_is_told(send, here, size):
    (here / "event.json").write_text(" " * size)
    code, out, err = send("--file", "event.json")
    assert code == 1
    assert "The body is too large" in out or "closed too early" in err


def test_a_wrong_token_is_told_with_where_it_came_from(send):
    code, out, _ = send(token="not-the-token")
    assert code == 1
    assert out.startswith("401 Unauthorized: A valid API token is required\n")
    assert out.endswith("The token came from --token.\n")


def test_the_token_may_come_from_the_environment(send, monkeypatch):
    monkeypatch.setenv("SEGMENTSTREAM_TOKEN", TOKEN)
    assert send(token=None)[0] == 0


def test_the_token_may_come_from_the_file_beside_the_configuration(send, here):
    (here / "segmentstream.token").write_text(f"{TOKEN}\n")
    assert send(token=None)[0] == 0
    (here / "segmentstream.token").rename(here / "moved")
    (here / "x").mkdir()
    (here / "moved").rename(here / "x" / "segmentstream.token")
    assert send("--config", "x/any.toml", token=None)[0] == 0


def test_an_empty_user_id_is_sent_as_it_is(send):
    code, out, _ = send("--user-id", "")
    assert code == 1
    assert "/event/user: " in out


@pytest.mark.parametrize("data", [None, b"", b"\n", b"\xff\n"])
def test_without_a_token_nothing_is_sent(send, here, data):
    if data is not None:
        (here / "segmentstream.token").write_bytes(data)
    code, _, err = send(token=None)
    assert code == 2
    assert err.startswith("segmentstream-api: no token: ")


def test_a_service_that_does_not_run_is_a_sentence(run, here):
    url = closed_port()
    code, out, err = run("send", "--url", url, "--token", "t")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == f"No answer from {url}/track: could not connect."


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x:y", "http://[x"])
def test_what_is_no_url_is_refused(run, here, url):
    code, _, err = run("send", "--url", url, "--token", "t")
    assert code == 2
    assert "--url must be like http://127.0.0.1:8000" in err


def test_a_password_in_the_url_is_refused_and_not_repeated(run, here):
    code, out, err = run("send", "--url", "http://me:geheim@127.0.0.1", "--token", "t")
    assert code == 2
    assert "geheim" not in out + err


@pytest.mark.parametrize("path", ["", "/", "/track", "/track/"])
def test_the_path_is_added_to_the_url(run, here, path):
    with Peer(answer("204 No Content")) as peer:
        assert run("send", "--url", peer.url + path, "--token", "t")[0] == 0
    assert peer.received[0].line == "POST /track HTTP/1.1"


def test_a_redirect_is_told_and_not_followed(run, here):
    with Peer(None) as elsewhere:
        with Peer(answer("301 Moved", Location=f"{elsewhere.url}/\x1b[2J")) as peer:
            code, out, _ = run("send", "--url", peer.url, "--token", "t")
        assert not elsewhere.received
    assert code == 1
    assert "301 Moved Permanently" in out
    assert f"It points to {elsewhere.url}/" in out
    assert "\x1b" not in out


def test_an_answer_that_is_not_the_services_is_told_as_that(run, here):
    page = answer("502 Bad Gateway", b"<html>", Content_Type="text/html")
    with Peer(page) as peer:
        code, out, _ = run("send", "--url", peer.url, "--token", "t")
    assert code == 1
    assert out == "502 Bad Gateway (text/html): this is not an answer of the service.\n"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"errors": 1}', b'{"errors": [1]}', b"\xff", b"[" * 60_000]
)
def test_a_strange_problem_document_is_no_traceback(run, here, body):
    page = answer("400 Bad Request", body, Content_Type="application/problem+json")
    with Peer(page) as peer:
        code, out, _ = run("send", "--url", peer.url, "--token", "t")
    assert code == 1
    assert out.startswith("400 Bad Request")


def test_an_answer_cannot_control_the_terminal(run, here):
    problem = json.dumps({"title": "a\x1b[2Jb", "detail": "c\nd", "errors": []}).encode()
    page = answer("400 Bad Request", problem, Content_Type="application/problem+json")
    with Peer(page) as peer:
        _, out, _ = run("send", "--url", peer.url, "--token", "t")
    assert out == "400 Bad Request: a\\u001b[2Jb\nc\\nd\n"


def test_a_document_and_options_for_an_event_contradict_each_other(run, here):
    code, _, err = run("send", "--token", "t", "--file", "x.json", "--event", "y")
    assert code == 2
    assert "with --file there is one already" in err


def test_a_document_that_cannot_be_read_is_a_sentence(run, here):
    code, _, err = run("send", "--token", "t", "--file", "x.json")
    assert code == 2
    assert err == "segmentstream-api: x.json cannot be read: No such file or directory\n"
