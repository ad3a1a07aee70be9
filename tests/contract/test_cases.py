"""The cases in tests/cases are complete: without any one demand of a schema, one of them fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segmentstream_api.contract.event_types.files import our_schemas
from segmentstream_api.contract.schemas import Contract, load_schema, referred
from segmentstream_api.event.user import with_user_in_event
from tests.mutations import mutations

CASES = Path(__file__).parents[1] / "cases"
SCHEMAS = our_schemas()
OTHERS = referred(SCHEMAS)
EVENTS = sorted(uri for uri in SCHEMAS if uri.startswith("/schemas/events/"))
OBJECTS = sorted(uri for uri in SCHEMAS if uri.startswith("/schemas/objects/"))
OBJECT_CASES = sorted((CASES / "objects").rglob("*.json"))

# What another keyword demands as well: `not`, which nothing but a string can keep to here, and the
# format iso-8601, which other validators do not know.
COVERED = {"/properties/hitId/type", "/properties/sentAt/pattern"}
# What an event type demands although track.json does so already, or its name chose the type.
BEFOREHAND = {
    "/type",
    "/required/event",
    "/properties/event/required/name",
    "/properties/event/required/user",
    "/properties/event/properties/name/const",
}
# What objects/event.json and objects/list-item.json demand of the same place as well.
TWICE = {
    "/properties/event/properties/user/$ref",
    "/properties/event/properties/listItem/required/product",
}


def case(path):
    return json.loads(path.read_text("utf-8"))


def stem(uri):
    return Path(uri).stem


def documents(folder):
    return [case(path)["document"] for path in sorted((CASES / folder).rglob("*.json"))]


def unnoticed(schema, found, changed_contract):
    """The demands whose absence changes nothing in what is `found` of each document."""
    for what, changed in mutations(schema):
        contract = changed_contract(changed)
        if all(pointers(contract, document) == told for document, told in found):
            yield what


def pointers(contract, document):
    return [each.pointer for each in contract.violations(document)]


def test_a_demand_of_track_json_has_a_case_that_fails_without_it():
    track = load_schema("track.json")
    whole = Contract(track)
    found = [(each, pointers(whole, each)) for each in documents("track")]
    assert set(unnoticed(track, found, Contract)) == COVERED


@pytest.mark.parametrize("uri", EVENTS, ids=stem)
def test_a_demand_of_an_event_type_has_a_case_that_fails_without_it(uri):
    whole = Contract(SCHEMAS[uri], OTHERS)
    calls = [with_user_in_event(each) for each in documents(f"events/{stem(uri)}")]
    found = [(each, pointers(whole, each)) for each in calls]
    left = unnoticed(SCHEMAS[uri], found, lambda changed: Contract(changed, OTHERS))
    assert set(left) - BEFOREHAND - TWICE == set()


@pytest.mark.parametrize("uri", OBJECTS, ids=stem)
def test_a_demand_of_what_they_share_has_a_case_that_fails_without_it(uri):
    whole = Contract(SCHEMAS[uri], OTHERS)
    found = [(each, pointers(whole, each)) for each in documents(f"objects/{stem(uri)}")]
    left = unnoticed(
        SCHEMAS[uri],
        found,
        lambda changed: Contract(changed, referred({**SCHEMAS, uri: changed})),
    )
    assert list(left) == []


@pytest.mark.parametrize("path", OBJECT_CASES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_case_of_what_they_share_is_as_it_says(path):
    contract = Contract(SCHEMAS[f"/schemas/objects/{path.parts[-3]}.json"], OTHERS)
    found = pointers(contract, case(path)["document"])
    if path.parts[-2] == "valid":
        assert case(path).keys() == {"description", "document"}
        assert found == []
    else:
        assert case(path).keys() == {"description", "pointers", "document"}
        assert found == case(path)["pointers"]
