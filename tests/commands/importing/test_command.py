from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading

import pytest

from segmentstream_api.commands.importing.past_event import Past, past_event
from segmentstream_api.testing import Peer, answer, closed_port
from tests.commands.folder import start
from tests.system.service import TOKEN


def line(number, **more):
    event = {"name": "Signed Up", "user": {"userId": f"u-{number}"}}
    return json.dumps({"sentAt": "2019-02-21T10:56:10Z", "event": event, **more})


@pytest.fixture
def past(here, run, service):
    """Imports these lines into the service; its words never hold the token."""

    def past(lines, *argv, files=("past.jsonl",)):
        (here / "past.jsonl").write_text("".join(f"{each}\n" for each in lines), "utf-8")
        url = f"http://127.0.0.1:{service.port}"
        code, out, err = run("import", *files, "--url", url, "--token", TOKEN, *argv)
        assert TOKEN not in out + err
        return code, out, err

    return past


def archived(service, prefix):
    lines = (service.folder / "events.jsonl").read_text().splitlines()
    events = [json.loads(each) for each in lines]
    return [each for each in events if each["event"]["user"]["userId"].startswith(prefix)]


def test_a_second_run_delivers_nothing_twice(past, service):
    lines = [line(f"twice-{number}") for number in range(300)]
    assert past(lines) == (0, "300 events accepted, 0 rejected\n", "")
    assert past([*lines, line("twice-new")]) == (0, "301 events accepted, 0 rejected\n", "")
    found = archived(service, "u-twice")
    assert len(found) == 301
    assert {each["sentAt"] for each in found} == {"2019-02-21T10:56:10.000Z"}


def test_a_hit_id_is_kept(past, service):
    assert past([line("kept", hitId="mine")])[0] == 0
    assert [each["hitId"] for each in archived(service, "u-kept")] == ["mine"]


def test_rejected_lines_are_told_with_number_and_reasons_and_the_others_go_on(past, service):
    lines = [
        line("told-1"),
        "",
        line("told-2", sentAt=None),
        "{",
        line("told-3", hitId=7),
        json.dumps({"sentAt": "soon", "event": {}}),
        "x" * 70_000,
        line("told-4"),
    ]
    code, out, _ = past(lines)
    assert code == 1
    *told, summary = out.splitlines()
    assert summary == "2 events accepted, 5 rejected"
    assert [" ".join(each.split(" ")[:3]) for each in told] == [
        "past.jsonl:3: needs sentAt:",
        "past.jsonl:4: Expecting property",
        "past.jsonl:5: /hitId: must",
        "past.jsonl:6: /event/user: userId",
        "past.jsonl:6: /sentAt: must",
        "past.jsonl:7: has more",
    ]
    assert len(archived(service, "u-told")) == 2


def test_a_script_gets_json(past):
    code, out, _ = past([line("json"), "[]"], "--json")
    assert code == 1
    assert json.loads(out) == {
        "accepted": 1,
        "rejected": 1,
        "stopped": None,
        "last": {"file": "past.jsonl", "line": 2},
        "reasons": [
            {"file": "past.jsonl", "line": 2, "pointer": "", "detail": "must be an object"}
        ],
    }


def test_standard_input_is_taken(here, run, service, monkeypatch):
    body = f"{line('stdin')}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    url = f"http://127.0.0.1:{service.port}"
    assert run("import", "-", "--url", url, "--token", TOKEN)[0] == 0
    assert len(archived(service, "u-stdin")) == 1


def test_a_wrong_token_stops_it_and_is_told_with_where_it_came_from(past):
    code, out, err = past([line(1), line(2)], "--token", "wrong")
    assert (code, out) == (2, "0 events accepted, 0 rejected\n")
    assert "stopped at past.jsonl:1: HTTP 401" in err
    assert "the token came from --token" in err
    assert "No line was answered." in err


def test_a_busy_service_is_tried_again(here, run):
    (here / "past.jsonl").write_text(line(1))
    answers = iter([answer("503 Busy", Retry_After="1"), answer("204 No Content")])
    with Peer(lambda _: [next(answers)]) as peer:
        code, out, _ = run("import", "past.jsonl", "--url", peer.url, "--token", "t")
    assert (code, out) == (0, "1 event accepted, 0 rejected\n")
    assert len({exchange.body for exchange in peer.received}) == 1
    assert len(peer.received) == 2


def test_a_service_that_stays_away_ends_it_with_the_place(here, run):
    (here / "past.jsonl").write_text(f"{line(1)}\n{line(2)}\n")
    url = closed_port()
    code, _, err = run("import", "past.jsonl", "--url", url, "--token", "t", "--patience", "1")
    assert code == 2
    assert f"stopped at past.jsonl:1: no event is taken at {url}/track: could not connect" in err


@pytest.mark.parametrize("also", [[], ["--json"]])
def test_what_stops_it_ends_with_2_and_a_rejected_line_alone_with_1(here, run, past, also):
    url = closed_port()
    (here / "past.jsonl").write_text(f"[]\n{line(2)}\n")
    code, _, _ = run("import", "past.jsonl", "--url", url, "--token", "t", "--patience", "1", *also)
    assert code == 2
    assert past([line(1)], "--token", "wrong", *also)[0] == 2
    assert past(["[]"], *also)[0] == 1
    assert past([line("good")], *also)[0] == 0


def test_it_goes_on_from_the_line_that_it_is_told(here, past, service):
    lines = [line(f"from-{number}") for number in range(5)]
    (here / "later.jsonl").write_text(line("from-later"))
    assert past(lines, "--from-line", "4", files=("past.jsonl", "later.jsonl"))[0] == 0
    found = {each["event"]["user"]["userId"] for each in archived(service, "u-from")}
    assert found == {"u-from-3", "u-from-4", "u-from-later"}


def test_interrupted_it_says_before_which_line_everything_is_done(here):
    asked, go_on = threading.Event(), threading.Event()

    def reply(exchange):
        if b'"u-6"' in exchange.body:
            asked.set()
            assert go_on.wait(60)
        return [answer("204 No Content")]

    (here / "past.jsonl").write_text("".join(f"{line(number)}\n" for number in range(1, 500)))
    (here / "later.jsonl").write_text(line("later"))
    with Peer(reply) as peer:
        options = ("--url", peer.url, "--token", "t", "--concurrency", "1")
        process = start(
            *("import", "past.jsonl", "later.jsonl", *options), stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        go_on.set()
        _, err = process.communicate(timeout=60)
        done = len(peer.received)
    assert process.returncode == 130
    assert 6 <= done < 499
    assert f"Everything before past.jsonl:{done + 1} is done." in err
    assert f"segmentstream-api import --from-line {done + 1} past.jsonl later.jsonl\n" in err


def test_what_is_not_the_service_ends_it(here, run):
    (here / "past.jsonl").write_text(line(1))
    with Peer(answer("200 OK", b"<html>", Content_Type="text/html")) as peer:
        code, _, err = run("import", "past.jsonl", "--url", peer.url, "--token", "t")
    assert code == 2
    assert "is no answer of the service" in err


def test_the_hit_id_is_made_of_the_content_and_not_of_its_order():
    def hit_id(text):
        past = past_event(text.encode())
        assert isinstance(past, Past)
        return json.loads(past.body)["hitId"]

    one = hit_id('{"sentAt": "2019-02-21", "event": {"a": 1, "b": "é"}}')
    assert one == hit_id('{"event": {"b": "\\u00e9", "a": 1}, "sentAt": "2019-02-21"}')
    assert one != hit_id('{"event": {"b": "é", "a": 2}, "sentAt": "2019-02-21"}')
    assert one.startswith("import-")
    assert len(one) == 39
