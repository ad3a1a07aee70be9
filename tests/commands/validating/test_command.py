from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest

from tests.commands.folder import start

VALID = '{"event": {"name": "Registered", "user": {"userId": "u1"}}}'
INVALID = '{"hitId": 1, "event": {"user": {}}}'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def standard_input(monkeypatch):
    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def test_a_valid_document_is_valid(here, run):
    (here / "event.json").write_text(json.dumps(json.loads(VALID), indent=2))
    assert run("validate", "event.json") == (0, "1 document: all valid\n", "")


def test_every_violation_has_its_place(here, run):
    (here / "event.json").write_text(INVALID)
    code, out, err = run("validate", "event.json")
    assert (code, err) == (1, "")
    first, second, summary = out.splitlines()
    assert first.startswith("event.json: /event/user: userId or anonymousId is required")
    assert second.startswith("event.json: /hitId: must be a string")
    assert summary == "1 document: 1 invalid, 2 violations"


@pytest.mark.parametrize("name", ["events.jsonl", "events.ndjson", "events.log"])
def test_json_lines_have_their_line_numbers_and_may_have_blank_lines(here, run, name):
    (here / name).write_text(f"{VALID}\r\n\n  \n{INVALID}\n{VALID}")
    code, out, _ = run("validate", name)
    assert code == 1
    assert f"{name}:4: /hitId: " in out
    assert out.endswith("3 documents: 1 invalid, 2 violations\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "event.json: The body is empty"),
        ("{", "event.json: Expecting property name"),
        ('{"a": NaN}', "event.json: NaN is not JSON"),
        ('{"a": 1e999}', "event.json: A number is too large"),
        ('{"a": "\\ud800"}', "event.json: A string holds half of a surrogate pair"),
        ("[" * 70 + "]" * 70, "event.json: Objects and arrays are nested more than 64 deep"),
        ("[" * 60_000, "event.json: "),
        ("\ufeff{}", "event.json: The body starts with a byte order mark"),
        ("[]", "event.json: must be an object"),
    ],
)
def test_a_document_that_the_service_would_not_read_is_invalid(here, run, text, found):
    (here / "event.json").write_text(text, "utf-8")
    code, out, _ = run("validate", "event.json")
    assert code == 1
    assert out.startswith(found)


def test_bytes_that_are_not_utf_8_are_invalid(here, run):
    (here / "event.json").write_bytes(b'{"a": "\xff"}')
    code, out, _ = run("validate", "event.json")
    assert code == 1
    assert out.startswith("event.json: The body must be UTF-8")


def padded(size):
    return VALID[:-1] + ', "x": "' + "x" * (size - len(VALID) - 9) + '"}'


@pytest.mark.parametrize(("size", "valid"), [(65_536, True), (65_537, False), (400_000, False)])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_limit_of_64_kb_is_that_of_the_service(here, run, size, valid, end):
    assert len(padded(size)) == size
    (here / "event.json").write_text(padded(size))
    (here / "events.jsonl").write_text(f"{VALID}\n{padded(size)}{end}", newline="")
    for name, place in (("event.json", ""), ("events.jsonl", ":2")):
        code, out, _ = run("validate", name)
        assert code == (0 if valid else 1)
        assert (f"{name}{place}: has more than 65536 bytes\n" in out) is not valid


def test_a_line_is_not_cut_off_where_it_seems_to_end(here, run):
    (here / "events.jsonl").write_text(f"{padded(65_536)}\rmore\n", newline="")
    assert run("validate", "events.jsonl")[0] == 1


def test_what_follows_a_line_that_is_too_long_is_still_checked(here, run):
    (here / "events.jsonl").write_text(f"{padded(400_000)}\n{VALID}\n{INVALID}\n")
    _, out, _ = run("validate", "events.jsonl")
    assert "events.jsonl:3: /hitId: " in out
    assert out.endswith("3 documents: 2 invalid, 3 violations\n")


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        (VALID, 1),
        (json.dumps(json.loads(VALID), indent=2), 1),
        (f"{VALID}\n{VALID}\n", 2),
        ("\n".join([VALID] * 5000), 5000),
        ('{"event": {"name":\n' + VALID, 2),
        ("[\n" + VALID + "\n]", 1),
        ("[" * 60_000, 1),
        ("", 1),
    ],
    ids=["one line", "pretty", "lines", "many lines", "broken line", "array", "deep", "nothing"],
)
def test_standard_input_may_be_a_document_or_json_lines(run, standard_input, text, documents):
    standard_input(text)
    report = json.loads(run("validate", "--json", "-")[1])
    assert report["documents"] == documents


def test_several_files_are_one_report(here, run):
    (here / "a.json").write_text(VALID)
    (here / "b.jsonl").write_text(f"{INVALID}\n{VALID}\n")
    code, out, _ = run("validate", "--json", "a.json", "b.jsonl")
    report = json.loads(out)
    assert code == 1
    assert (report["documents"], report["invalid"]) == (3, 1)
    places = [(each["file"], each["line"], each["pointer"]) for each in report["violations"]]
    assert places == [("b.jsonl", 1, "/event/user"), ("b.jsonl", 1, "/hitId")]


@pytest.mark.parametrize(
    ("name", "found"),
    [("nothing.json", "cannot be read: No such file"), ("folder", "holds no file *.json")],
)
def test_a_file_that_cannot_be_read_is_a_sentence(here, run, name, found):
    (here / "folder").mkdir()
    code, _, err = run("validate", name)
    assert code == 2
    assert err.startswith(f"segmentstream-api: {name} {found}")


def test_nothing_in_a_document_controls_the_terminal(here, run):
    document = {"event": {"user": {"userId": "u"}}, "integrations": {"\x1b[31m\u202e\x9b": 1}}
    (here / "event.json").write_text(json.dumps(document))
    code, out, _ = run("validate", "event.json")
    assert code == 1
    assert r"/integrations/\u001b[31m\u202e\u009b: " in out


def test_long_input_has_a_progress_bar_on_a_terminal_alone(here):
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    on_terminal = start("validate", "-", stderr=terminal, **pipes)
    elsewhere = start("validate", "-", stderr=subprocess.PIPE, **pipes)
    lines = f"{VALID}\n".encode() * 1000
    for _ in range(15):  # a bar is shown for what takes longer than half a second
        for process in (on_terminal, elsewhere):
            assert process.stdin is not None
            process.stdin.write(lines)
        time.sleep(0.1)
    assert elsewhere.communicate(timeout=30) == (b"15000 documents: all valid\n", b"")
    assert on_terminal.communicate(timeout=30)[0] == b"15000 documents: all valid\n"
    assert b"B/s" in os.read(ours, 65536)
    os.close(ours)
    os.close(terminal)


def test_what_is_told_on_a_terminal_stands_in_lines_of_its_own(here):
    (here / "events.jsonl").write_text("[]\n" * 3)
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    process = start("validate", "events.jsonl", stdout=terminal, stderr=terminal)
    assert process.wait(60) == 1
    os.close(terminal)
    shown = ""
    with suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 65536):
            shown += piece.decode()
    os.close(ours)
    lines = [line.rpartition("\r")[2] for line in shown.split("\r\n")]
    assert lines[:3] == [
        f"events.jsonl:{line}: must be an object; found an array of length 0" for line in (1, 2, 3)
    ]
    assert lines[3:] == ["3 documents: 3 invalid, 3 violations", ""]


CART = '{"event": {"name": "Viewed Cart", "user": {"userId": "u1"}, "cart": {"currency": "USD"}}}'


def test_an_event_type_that_is_broken_is_told_with_its_name_and_counted_by_place(here, run):
    (here / "events.jsonl").write_text(f"{CART}\n{VALID}\n{CART}\n")
    code, out, _ = run("validate", "events.jsonl")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith("events.jsonl:1: /event/cart/lineItems: is missing")
    assert lines[0].endswith("(Viewed Cart)")
    assert lines[6].split() == ["event", "type", "place", "documents"]
    assert lines[7].split() == ["Viewed", "Cart", "/event/cart/lineItems", "2"]
    assert lines[-1] == "3 documents: 2 invalid, 6 violations"


def test_a_lenient_check_tells_the_same_and_is_good(here, run):
    (here / "event.json").write_text(CART)
    code, out, _ = run("validate", "--lenient", "event.json")
    assert code == 0
    assert "/event/cart/total" in out
    assert out.endswith("1 document: all valid but for 3 violations of event types\n")
    (here / "event.json").write_text(INVALID)
    assert run("validate", "--lenient", "event.json")[0] == 1


def test_a_script_learns_which_event_types_were_applied(here, run):
    (here / "events.jsonl").write_text(f"{CART}\n{VALID}\n{INVALID}\n")
    report = json.loads(run("validate", "--json", "events.jsonl")[1])
    assert report["event_types"] == {
        "Viewed Cart": {"schema": "schemas/events/viewed-cart.json", "documents": 1},
        "Registered": {"schema": "schemas/events/registered.json", "documents": 1},
    }
    kinds = [(each["event_type"], each["schema"]) for each in report["violations"]]
    assert kinds[0] == ("Viewed Cart", "schemas/events/viewed-cart.json")
    assert kinds[-1] == (None, "schemas/track.json")


def test_a_folder_is_all_its_files(here, run):
    (here / "events" / "old").mkdir(parents=True)
    (here / "events" / "a.json").write_text(VALID)
    (here / "events" / "old" / "b.ndjson").write_text(f"{VALID}\n{VALID}\n")
    (here / "events" / "notes.txt").write_text("none")
    assert run("validate", "events") == (0, "3 documents: all valid\n", "")


def test_a_project_brings_its_rules_and_its_own_event_types(folder, run):
    text = (folder / "segmentstream.toml").read_text()
    rules = 'schemas = ["plan/*.json"]\nunknown_events = "reject"\n'
    folder.configure(text.replace("[projects.shop]\n", f"[projects.shop]\n{rules}"))
    (folder / "plan").mkdir()
    event = {"required": ["plan"], "properties": {"name": {"const": "Registered"}}}
    (folder / "plan" / "a.json").write_text(json.dumps({"properties": {"event": event}}))
    (folder / "a.json").write_text(VALID)
    (folder / "b.json").write_text(VALID.replace("Registered", "Something"))
    code, out, _ = run("validate", "--project", "shop", "a.json", "b.json")
    assert code == 1
    assert "a.json: /event/plan: is missing; it is required (Registered)\n" in out
    assert "b.json: /event/name: is not the name of a known event type\n" in out
    folder.configure(text.replace("[projects.shop]\n", '[projects.shop]\nevent_types = "off"\n'))
    (folder / "b.json").write_text(CART)
    assert run("validate", "--project", "shop", "b.json")[0] == 0
    code, _, err = run("validate", "--project", "nobody", "a.json")
    assert code == 2
    assert "'nobody' is no project" in err
