from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from datetime import UTC, datetime

import pytest

from segmentstream_api.commands.dead_letters.change import PAGE_SIZE, in_pages
from segmentstream_api.event.event import new_event
from segmentstream_api.store.records import DeadLetterFilter
from tests.commands.folder import start

HOUR = 3600


@pytest.fixture
def letters(folder):
    """A few that differ in everything that a filter knows."""
    now = time.time()
    folder.bury("new", destination="crm", name="Registered", at=now - HOUR)
    folder.bury("old", destination="crm", name="Registered", at=now - 72 * HOUR)
    folder.bury("order", destination="crm", name="Completed Transaction", at=now - 24 * HOUR)
    folder.bury("file", destination="archive", name="Registered", at=now - 24 * HOUR)
    return folder


def listed(run, *argv):
    code, out, err = run("dead-letters", "list", "--json", *argv)
    assert (code, err) == (0, "")
    return {each["hit_id"] for each in json.loads(out)["dead_letters"]}


FILTERS = [
    ([], {"new", "old", "order", "file"}),
    (["--destination", "crm"], {"new", "old", "order"}),
    (["--event", "Completed Transaction"], {"order"}),
    (["--id", "old"], {"old"}),
    (["--since", "2h"], {"new"}),
    (["--since", "7200s"], {"new"}),
    (["--until", "120m"], {"old", "order", "file"}),
    (["--since", "2d", "--until", "2h", "--destination", "crm"], {"order"}),
    (["--until", "1w"], set()),
    (["--destination", "erp"], set()),
]


@pytest.mark.parametrize(
    ("filters", "found"), FILTERS, ids=[" ".join(filters) or "none" for filters, _ in FILTERS]
)
def test_filters_choose_by_destination_event_hit_id_and_time_of_death(letters, run, filters, found):
    assert listed(run, *filters) == found


def test_a_time_may_be_iso_8601_and_is_utc_without_an_offset(letters, run):
    before = datetime.fromtimestamp(time.time() - 2 * HOUR, UTC)
    for text in (before.isoformat(), before.replace(tzinfo=None).isoformat()):
        assert listed(run, "--since", text) == {"new"}
    assert listed(run, "--since", "2001-01-01") == {"new", "old", "order", "file"}


@pytest.mark.parametrize("text", ["yesterday", "2h30m", "-2h", "", "99999999999999d", "2019-13-01"])
def test_what_is_no_time_is_refused_with_what_is(letters, run, text):
    code, _, err = run("dead-letters", "list", f"--since={text}")
    assert code == 2
    assert "is no time; write 2h, 3d, 2019-02-21 or 2019-02-21T10:56:10Z (UTC)" in err


def test_the_list_tells_when_where_what_and_why(letters, run):
    _, out, _ = run("dead-letters", "list", "--id", "order")
    title, line, summary = out.splitlines()
    assert title.split()[:3] == ["died", "at", "destination"]
    for word in ("crm", "Completed Transaction", "order", "3", "HTTP 400"):
        assert word in line
    assert summary == "1 dead letter."


def test_the_list_is_limited_and_says_how_many_more_there_are(letters, run):
    _, out, _ = run("dead-letters", "list", "--limit", "3")
    assert out.splitlines()[-1] == "1 more; --limit 4 shows all."
    assert len(out.splitlines()) == 5
    report = json.loads(run("dead-letters", "list", "--limit", "1", "--json")[1])
    assert (report["count"], len(report["dead_letters"])) == (4, 1)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1e3", "1" * 30])
def test_a_limit_is_a_whole_number_of_1_or_more(letters, run, limit):
    assert run("dead-letters", "list", f"--limit={limit}")[0] == 2


@pytest.mark.parametrize("columns", [30, 60, 80])
def test_the_list_fits_a_narrow_terminal(letters, run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run("dead-letters", "list")
    assert max(map(len, out.splitlines())) <= columns
    assert out.count("HTTP 400") == 4


def test_without_a_terminal_every_dead_letter_is_one_line(letters, run, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    letters.bury("long", reason="word " * 60)
    process = start("dead-letters", "list", stdout=subprocess.PIPE)
    assert len(process.communicate(timeout=30)[0].splitlines()) == 1 + 5 + 1


def test_show_prints_the_envelope_and_why(letters, run):
    code, out, _ = run("dead-letters", "show", "--id", "order")
    assert code == 0
    head, _, document = out.partition("{")
    assert "crm" in head
    assert "HTTP 400" in head
    envelope = json.loads("{" + document.rpartition("}")[0] + "}")
    assert envelope["hitId"] == "order"
    assert envelope["event"]["name"] == "Completed Transaction"
    assert envelope["project"] == "shop"


def test_show_may_be_json(letters, run):
    code, out, _ = run("dead-letters", "show", "--id", "order", "--json")
    (letter,) = json.loads(out)["dead_letters"]
    assert code == 0
    assert letter["document"]["hitId"] == letter["hit_id"] == "order"


def test_show_of_none_ends_with_1(letters, run):
    assert run("dead-letters", "show", "--id", "nobody") == (1, "0 dead letters.\n", "")


@pytest.mark.parametrize("action", ["list", "show"])
def test_nothing_in_an_event_or_a_reason_controls_the_terminal(folder, run, action):
    folder.bury("a", name="\x1b[31mRed\u202e\n\x9b2J", reason="no\x07\x1b]0;x\x07\u2028")
    _, out, _ = run("dead-letters", action)
    assert not any(each < " " for each in out.replace("\n", ""))
    assert not set(out) & {"\u202e", "\x9b", "\u2028"}
    assert r"\u001b[31mRed\u202e\n\u009b2J" in out
    assert r"no\u0007\u001b]0;x\u0007\u2028" in out


def test_replay_puts_exactly_those_back_into_the_outbox(letters, run):
    code, out, err = run("dead-letters", "replay", "--destination", "crm", "--since", "2d")
    assert (code, out, err) == (0, "2 dead letters replayed.\n", "")
    assert letters.waiting() == {"crm": 2}
    assert listed(run) == {"old", "file"}


def test_replay_keeps_body_and_idempotency_key(folder, run):
    folder.bury("a", destination="crm")
    (body,) = (
        each["document"]
        for each in json.loads(run("dead-letters", "show", "--json")[1])["dead_letters"]
    )
    run("dead-letters", "replay")
    with folder.store() as store:
        (row,) = store.claim("crm", limit=9, lease_seconds=1)
    assert json.loads(row.body) == body
    assert row.key == new_event("shop", body, received_at=0).key
    assert row.attempts == 0


def test_replay_without_a_filter_means_all(letters, run):
    assert run("dead-letters", "replay", "--json")[1] == '{\n  "replayed": 4\n}\n'
    assert letters.waiting() == {"archive": 1, "crm": 3}
    assert run("dead-letters", "replay") == (0, "0 dead letters replayed.\n", "")


def test_replay_leaves_alone_what_dies_while_it_runs(folder, run):
    """Else it would meet those that die again as soon as they are replayed, for ever."""
    folder.bury("future", at=time.time() + HOUR)
    assert run("dead-letters", "replay")[1] == "0 dead letters replayed.\n"
    assert folder.dead() == {"crm": 1}


def test_replay_to_a_destination_that_is_not_configured_is_said(folder, run):
    folder.bury("a", destination="erp")
    code, out, err = run("dead-letters", "replay", "--destination", "erp")
    assert (code, out) == (0, "1 dead letter replayed.\n")
    assert "erp is not configured" in err
    assert "Configured: archive, crm." in err


def test_an_interrupted_replay_goes_on_where_it_was(folder, run, capsys):
    total = 2 * PAGE_SIZE + 7
    folder.bury(*(f"hit-{number}" for number in range(total)))
    pages: list[int] = []

    with folder.store() as store:

        def interrupted(letters):
            if pages:
                raise KeyboardInterrupt
            pages.append(len(letters))
            return store.replay(letters)

        with pytest.raises(KeyboardInterrupt):
            in_pages(store, DeadLetterFilter(), interrupted, "replayed")
    assert pages == [PAGE_SIZE]
    assert "500 dead letters replayed; the same command goes on with the rest." in (
        capsys.readouterr().err
    )
    assert folder.waiting() == {"crm": PAGE_SIZE}
    _, out, _ = run("dead-letters", "replay")
    assert out == f"{total - PAGE_SIZE} dead letters replayed.\n"
    assert folder.waiting() == {"crm": total}
    assert folder.dead() == {}


def test_drop_forgets_exactly_those(letters, run):
    code, out, err = run("dead-letters", "drop", "--until", "2d", "--yes")
    assert (code, out, err) == (0, "1 dead letter dropped.\n", "")
    assert listed(run) == {"new", "order", "file"}


@pytest.mark.parametrize("argv", [[], ["--yes"], ["--all", "--id", "old", "--yes"]], ids=" ".join)
def test_drop_wants_either_filters_or_all(letters, run, argv):
    code, _, err = run("dead-letters", "drop", *argv)
    assert code == 2
    assert "by filters, or all of them by --all" in err
    assert letters.dead() == {"archive": 1, "crm": 3}


def test_drop_of_all_is_all(letters, run):
    assert json.loads(run("dead-letters", "drop", "--all", "--yes", "--json")[1]) == {"dropped": 4}
    assert letters.dead() == {}


def test_drop_without_a_terminal_to_ask_on_wants_a_yes(letters):
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = start("dead-letters", "drop", "--all", **options)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert b"say --yes" in err
    assert letters.dead() == {"archive": 1, "crm": 3}


@pytest.mark.parametrize(("said", "code", "left"), [(b"y\n", 0, 0), (b"\n", 1, 3), (b"x\n", 1, 3)])
def test_drop_asks_on_a_terminal(letters, said, code, left):
    ours, terminal = pty.openpty()
    process = start("dead-letters", "drop", "--destination", "crm", stdin=terminal, stderr=terminal)
    os.close(terminal)
    asked = b""
    while b"[y/N] " not in asked:
        asked += os.read(ours, 1024)
    assert b"Drop 3 dead letters for good?" in asked
    os.write(ours, said)
    assert process.wait(30) == code
    os.close(ours)
    assert letters.dead().get("crm", 0) == left


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (["list"], "0 dead letters.\n"),
        (["replay"], "0 dead letters replayed.\n"),
        (["drop", "--all"], "0 dead letters dropped.\n"),
    ],
)
def test_where_the_service_never_ran_there_are_none_and_no_store_is_made(folder, run, argv, out):
    assert run("dead-letters", *argv)[:2] == (0, out)
    assert [path.name for path in folder.path.iterdir()] == ["segmentstream.toml"]
