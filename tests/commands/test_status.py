from __future__ import annotations

import json
import re
import time

import pytest

from segmentstream_api.store.records import DestinationState


def report(run):
    code, out, err = run("status", "--json")
    assert (code, err) == (0, "")
    return {each["name"]: each for each in json.loads(out)["destinations"]}


def test_a_service_that_never_ran_has_nothing_waiting_and_no_store_is_made(folder, run):
    found = report(run)
    assert list(found) == ["archive", "crm"]
    assert all((each["waiting"], each["dead"]) == (0, 0) for each in found.values())
    assert [path.name for path in folder.path.iterdir()] == ["segmentstream.toml"]


def test_what_waits_is_counted_with_the_age_of_the_oldest(folder, run):
    folder.wait("a", at=time.time() - 7300)
    folder.wait("b", "c", at=time.time() - 60)
    folder.bury("d", destination="crm")
    found = report(run)
    assert (found["archive"]["waiting"], found["crm"]["waiting"]) == (3, 0)
    assert (found["archive"]["dead"], found["crm"]["dead"]) == (0, 1)
    assert 7300 <= found["archive"]["oldest_age_seconds"] < 7400
    assert found["crm"]["oldest_age_seconds"] is None
    _, out, _ = run("status")
    assert out.splitlines()[1].split()[:6] == ["archive", "file", "3", "2", "h", "0"]


def test_the_breaker_and_the_last_error_are_shown(folder, run):
    now = time.time()
    folder.note("crm", DestinationState("open", now - 30, "HTTP 503", now - 200))
    crm = report(run)["crm"]
    assert (crm["breaker"], crm["last_error"]) == ("open", "HTTP 503")
    assert crm["last_error_at"].endswith("Z")
    _, out, _ = run("status")
    assert re.split("  +", out.splitlines()[2])[-2:] == ["open", "HTTP 503 (3 min ago)"]


def test_a_destination_that_is_not_configured_any_more_is_shown_as_that(folder, run):
    folder.wait("a", destination="erp")
    erp = report(run)["erp"]
    assert (erp["configured"], erp["type"], erp["waiting"]) == (False, None, 1)
    assert "erp          not configured  1" in run("status")[1]


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 120])
def test_a_narrow_terminal_gets_shorter_lines_and_the_same_words(folder, run, monkeypatch, columns):
    now = time.time()
    reason = "could not connect within 10 s, and this goes on and on for quite some words"
    folder.note("crm", DestinationState("open", now, reason, now))
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run("status")
    assert max(map(len, out.splitlines())) <= columns
    assert "words" in out
    assert "breaker" in out


def test_an_error_cannot_control_the_terminal(folder, run):
    folder.note("crm", DestinationState("open", None, "a\x1b[2Jb\nc\u2028d", time.time()))
    _, out, _ = run("status")
    assert r"a\u001b[2Jb\nc\u2028d" in out
    assert len(out.splitlines()) == 3


def test_a_store_that_is_gone_is_a_sentence(folder, run):
    folder.wait("a")
    (folder / "segmentstream.db").unlink()
    code, out, err = run("status")
    assert (code, out) == (2, "")
    assert "segmentstream.db: is gone" in err
