from __future__ import annotations

import json

import pytest

from segmentstream_api.destinations.registry import OWN
from segmentstream_api.testing import Peer, answer

CONFIGURATION = """
[projects.shop]
tokens = ["sha256:6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"]
destinations = ["archive", "warehouse"]

[destinations.archive]
type = "file"
path = "events.jsonl"

[destinations.warehouse]
type = "clickhouse"
base_url = "{url}"
"""


def test_all_types_are_listed_with_their_names_and_settings(run):
    code, out, err = run("destinations")
    assert (code, err) == (0, "")
    rows = out.splitlines()
    assert rows[0].split() == ["type", "in", "integrations", "settings", "(*", "required)"]
    assert [row.split()[0] for row in rows[1:]] == sorted(OWN)
    assert "google-analytics      Google Analytics" in out
    assert "file                  File                  path*, mode" in rows[5]


def test_json_tells_everything_of_all_types(run):
    code, out, _ = run("destinations", "--json")
    types = {each["type"]: each for each in json.loads(out)["types"]}
    assert code == 0
    assert list(types) == sorted(OWN)
    assert types["webhook"]["display_name"] == "Webhook"
    assert types["webhook"]["settings"][0] == {
        "name": "url",
        "kind": "text",
        "required": True,
        "default": None,
        "secret": False,
        "description": "Where to post the events: http:// or https://.",
    }


def test_one_type_is_shown_in_full(run):
    code, out, _ = run("destinations", "kafka")
    assert code == 0
    assert out.startswith("kafka, in `integrations`: Kafka\n\nsetting ")
    (line,) = [line for line in out.splitlines() if line.startswith("password")]
    assert line.split() == ["password", "text,", "secret", "The", "SASL", "password."]
    (line,) = [line for line in out.splitlines() if line.startswith("topic")]
    assert line.split()[:3] == ["topic", "text", "required"]


def test_one_type_as_json(run):
    code, out, _ = run("destinations", "file", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(out)["settings"]] == ["path", "mode"]


def test_an_unknown_type_is_answered_with_the_known_ones(run):
    code, out, err = run("destinations", "kafak")
    assert (code, out) == (2, "")
    assert "unknown destination type 'kafak'; known: amplitude, " in err


@pytest.mark.parametrize("words", [("setup",), ("setup", "a", "b"), ("file", "kafka")])
def test_other_words_are_wrong_usage(run, words):
    code, _, err = run("destinations", *words)
    assert code == 2
    assert "it takes nothing, a type, or `setup` and the name of a destination" in err


def test_no_configuration_is_needed_to_look_at_types(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("destinations")[0] == run("destinations", "file")[0] == 0


def test_setting_up_a_destination_that_needs_nothing_says_so(folder, run):
    assert run("destinations", "setup", "archive") == (0, "archive: needs no setup\n", "")


def test_setting_up_makes_what_the_destination_needs(folder, run):
    with Peer(answer("200 OK")) as peer:
        folder.configure(CONFIGURATION.format(url=peer.url))
        code, out, _ = run("destinations", "setup", "warehouse", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["name"], found["ok"]) == ("warehouse", True)
    assert b"CREATE TABLE" in peer.received[0].body + peer.received[0].line.encode()


def test_what_could_not_be_set_up_is_said_and_is_the_exit_code(folder, run):
    with Peer(answer("403 Forbidden")) as peer:
        folder.configure(CONFIGURATION.format(url=peer.url))
        code, out, err = run("destinations", "setup", "warehouse")
        assert (code, out) == (1, "")
        assert err.startswith("warehouse: ")
        code, out, _ = run("destinations", "setup", "warehouse", "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False


def test_an_unknown_destination_is_answered_with_the_known_ones(folder, run):
    code, _, err = run("destinations", "setup", "warehouse")
    assert code == 2
    assert "'warehouse' is no destination; known: archive, crm" in err
