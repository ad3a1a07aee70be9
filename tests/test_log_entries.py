"""Every event of the log: declared, said somewhere, in the schema and in the documentation."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import string
import subprocess

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.logs import entries
from segmentstream_api.logs.entries import LIBRARY_MESSAGE, SERVER_MESSAGE, Entry
from tests.system.log_check import CHECKOUT
from tests.test_architecture import MODULES

PAGE = (CHECKOUT / "docs" / "operations.md").read_text("utf-8")
ROWS = {
    event: (level, most)
    for event, level, most in re.findall(
        r"^\| `([a-z_]+\.[a-z_]+)` \| (\w+) \| (\d*) ?\| \S.*\|$", PAGE, re.MULTILINE
    )
}
LOGS = PAGE.partition("## Logs")[2]
(EXAMPLE,) = re.findall(r"^```json\n(.*?)^```$", LOGS, re.DOTALL | re.MULTILINE)
ENTRIES = {name: each for name, each in vars(entries).items() if isinstance(each, Entry)}
FIELDS = load_schema("log.json")["properties"].keys()
OF_THE_ERROR = {"exception", "traceback"}


def calls():
    """Each call of an entry: its name, the names of its fields, and whether it has an error."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                fields = {each.arg for each in node.keywords}
                names = {node.func.id}
                if module == "delivery.recorder" and node.func.id == "said":
                    names = {"DELIVERY_FAILED", "DELIVERY_MISCONFIGURED"}
                for name in sorted(names & ENTRIES.keys()):
                    yield name, fields, bool(node.args)


CALLS = list(calls())


def test_no_two_entries_have_one_name():
    assert len({each.event for each in ENTRIES.values()}) == len(ENTRIES)


def test_every_event_is_documented_and_every_documented_event_is_one():
    events = {each.event for each in ENTRIES.values()} | {SERVER_MESSAGE, LIBRARY_MESSAGE}
    assert ROWS.keys() == events


@pytest.mark.parametrize("name", ENTRIES)
def test_the_documentation_tells_its_level_and_its_limit(name):
    entry = ENTRIES[name]
    limited = entry.logger == entries.OURS
    assert ROWS[entry.event] == (
        logging.getLevelName(entry.level).lower(),
        str(entry.max_per_minute) if limited else "",
    )


@pytest.mark.parametrize("name", ENTRIES)
def test_it_is_said_somewhere(name):
    assert name in {called for called, _, _ in CALLS}


@pytest.mark.parametrize(("name", "fields", "has_error"), CALLS)
def test_whoever_says_it_gives_what_its_sentence_needs_and_the_schema_knows(
    name, fields, has_error
):
    given = fields | (OF_THE_ERROR if has_error else set())
    needed = {field for _, field, _, _ in string.Formatter().parse(ENTRIES[name].sentence) if field}
    assert needed <= given
    assert given <= FIELDS


def test_nothing_of_ours_is_logged_in_another_way():
    """But what librdkafka says, and what keeps libraries from saying too much."""
    others = {
        module
        for module, path in MODULES.items()
        if re.search(r"\bgetLogger\(|\bbasicConfig\(|\blogging\.\w+\(", path.read_text("utf-8"))
    }
    allowed = {"destinations.kafka.client", "postgresql.connections"}
    allowed |= {"destinations.transport.log_filter", "testing.conformance"}
    assert {each for each in others if not each.startswith("logs.")} <= allowed


def test_the_schema_is_one():
    Draft202012Validator.check_schema(load_schema("log.json"))


def test_the_example_of_the_documentation_keeps_to_the_schema():
    Draft202012Validator(load_schema("log.json")).validate(json.loads(EXAMPLE))


def the_examples_with_jq():
    (block,) = re.findall(r"^```sh\n(.*?)^```$", LOGS, re.DOTALL | re.MULTILINE)
    return block.splitlines()


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq (the package jq)")
@pytest.mark.parametrize(
    ("command", "expected"),
    list(
        zip(
            the_examples_with_jq(),
            [["breaker.opened"], ["1 /event/user"], ["request.rejected"], ["43"]],
            strict=True,
        )
    ),
)
def test_the_examples_with_jq_find_what_they_are_for(tmp_path, command, expected):
    example = json.loads(EXAMPLE)
    lines = [
        example,
        {**example, "event": "breaker.opened", "level": "error", "request_id": "other"},
        {**example, "pointers": [], "request_id": "other", "suppressed": 42},
    ]
    text = "\n".join(["", "Listening on http://127.0.0.1:8000.", *map(json.dumps, lines)])
    if "journalctl" not in command:
        text = "\n".join(map(json.dumps, lines))
    (tmp_path / "service.log").write_text(text)
    command = command.replace("journalctl -u segmentstream-api -o cat", "cat service.log")
    done = subprocess.run(
        ["bash", "-euc", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = [
        json.loads(each)["event"] if each.startswith("{") else each.strip()
        for each in done.stdout.splitlines()
    ]
    assert found == expected
