"""`check --send`."""

from __future__ import annotations

import json

import pytest

from segmentstream_api.commands.test_event import probe
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.file.destination import File
from segmentstream_api.testing import Peer, answer

CONFIGURATION = """
[projects.other]
tokens = ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]

[projects.shop]
tokens = ["sha256:6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"]
destinations = ["crm"]

[destinations.crm]
type = "webhook"
url = "{url}"

[destinations.archive]
type = "file"
path = "events.jsonl"
"""


@pytest.fixture
def crm(folder):
    """A webhook that answers 204."""
    with Peer(answer("204 No Content")) as peer:
        folder.configure(CONFIGURATION.format(url=peer.url))
        yield peer


def test_each_destination_gets_one_marked_event(crm, folder, run):
    assert run("check", "--send")[0] == 0
    (request,) = crm.received
    archived = (folder / "events.jsonl").read_bytes()
    for body, project in ((request.body, "shop"), (archived, "test")):
        event = json.loads(body)
        assert event["hitId"].startswith("test-")
        assert event["event"]["name"] == "Test Event"
        assert event["context"] == {"test": True}
        assert event["project"] == project


def test_what_became_of_it_is_shown(crm, run):
    code, out, err = run("check", "--send")
    assert (code, err) == (0, "")
    rows = out.splitlines()[-2:]
    assert [row.split() for row in rows] == [
        ["crm", "test", "event:", "delivered", "ok"],
        ["archive", "test", "event:", "delivered", "ok"],
    ]


def test_one_that_does_not_take_it_is_a_failure_and_the_others_are_tried(folder, run):
    with Peer(answer("401 Unauthorized")) as peer:
        folder.configure(CONFIGURATION.format(url=peer.url))
        code, out, _ = run("check", "--send", "--json")
    assert code == 1
    found = json.loads(out)
    assert not found["ok"]
    assert found["checks"][-2:] == [
        {"name": "crm", "what": "test event", "problems": ["not delivered: HTTP 401"]},
        {"name": "archive", "what": "test event: delivered", "problems": []},
    ]


def test_without_the_option_nothing_is_sent(crm, folder, run):
    assert run("check")[0] == 0
    assert crm.connections == 0
    assert not (folder / "events.jsonl").exists()


def test_nothing_is_sent_with_a_configuration_that_is_unusable(crm, folder, run):
    text = (folder / "segmentstream.toml").read_text()
    folder.configure(text.replace('type = "file"', 'type = "fiel"'))
    assert run("check", "--send")[0] == 2
    assert crm.connections == 0


def test_the_event_has_the_name_that_the_vendor_gets(folder, run):
    ok = answer("200 OK", b'{"events_received": 1}')
    with Peer(ok) as peer:
        folder.configure(f"""
[projects.shop]
tokens = ["sha256:{"0" * 64}"]
destinations = ["stats"]

[destinations.stats]
type = "segment"
write_key = "k"
base_url = "{peer.url}"
rename = {{ "Test Event" = "try_out" }}
""")
        assert run("check", "--send")[0] == 0
    assert b'"event":"try_out"' in peer.received[0].body


class Defective(File):
    def probe(self, delivery):
        raise ValueError(f"a secret and {delivery.body!r}")


def test_a_defect_of_a_destination_is_a_sentence_that_shows_nothing(folder, run):
    settings = load_settings(
        folder / "segmentstream.toml", environ={}, registry={"file": Defective}
    )
    taken, sentence = probe(settings, settings.destinations[0])
    assert not taken
    assert sentence == "defect of the destination: ValueError"
