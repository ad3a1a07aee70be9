"""docs/events.md is true."""

from __future__ import annotations

import json
import re
import tomllib

from segmentstream_api.contract.event_types.files import own_types
from segmentstream_api.contract.event_types.rules import EventTypes, EventTypeSettings
from segmentstream_api.contract.schemas import load_schema
from tests.event_tables import PAGE, filled

TEXT = PAGE.read_text("utf-8")


def block(kind):
    found = re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_table_is_as_the_schemas_say():
    assert filled(TEXT) == TEXT, "script/docs renews it"
    assert (
        "\n| [Viewed Cart](../schemas/events/viewed-cart.json) | The cart was shown | `cart` (`c"
        in TEXT
    )


def test_the_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target


def test_the_settings_are_those_of_the_configuration():
    settings = tomllib.loads(block("toml"))["projects"]["shop"]
    known = load_schema("config.json")["properties"]["projects"]["additionalProperties"]
    assert settings.keys() <= known["properties"].keys()


def test_the_plan_works(tmp_path):
    paths = [tmp_path / "plan.json", tmp_path / "objects" / "room.json"]
    paths[1].parent.mkdir()
    paths[0].write_text(block("json"), "utf-8")
    paths[1].write_text(json.dumps({"type": "object"}), "utf-8")
    types = EventTypes(EventTypeSettings(own=own_types(paths)))
    event = {"name": "Booked Appointment", "branch": "Rome", "room": 7}
    found = [each.pointer for each in types.violations({"event": event})]
    assert found == ["/event/branch", "/event/room", "/hitId"]
