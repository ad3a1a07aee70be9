"""What is said of an event by the event type of its name, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentstream_api.contract.event_types.files import own_types, segmentstream_types
from segmentstream_api.contract.event_types.rules import EventTypes, EventTypeSettings
from segmentstream_api.contract.event_types.safety import slow
from segmentstream_api.contract.event_types.subschemas import subschemas
from segmentstream_api.contract.schemas import Contract, schema_folder
from segmentstream_api.errors import InvalidEvent, UnusableSchemas, Violation

CASES = Path(__file__).parents[2] / "cases" / "events"
VALID = sorted(CASES.glob("*/valid/*.json"))
INVALID = sorted(CASES.glob("*/invalid/*.json"))
FILES = sorted((schema_folder() / "events").glob("*.json"))
OBJECTS = sorted((schema_folder() / "objects").glob("*.json"))
OURS = EventTypes()
TRACK = Contract.load("track.json")
EVENT = {"event": {"name": "Registered", "user": {"userId": "u1"}}}
# The names as SegmentStream's documentation and its browser library write them.
NAMES = """
Viewed Page, Viewed Product Detail, Viewed Product Listing, Searched Products, Viewed Product,
Clicked Product, Added Product, Removed Product, Added Product to Wishlist,
Removed Product from Wishlist, Viewed Cart, Updated Cart, Started Order, Added Payment Info,
Viewed Checkout Step, Completed Checkout Step, Completed Transaction, Updated Transaction,
Refunded Transaction, Registered, Logged In, Updated Profile Info, Subscribed, Unsubscribed,
Viewed Campaign, Clicked Campaign, Viewed Experiment, Achieved Experiment Goal, Received Voucher,
Lead, Exception, Session Started, Integration Validation Failed, Allowed Push Notifications,
Blocked Push Notifications, Closed Push Notifications Prompt, Searched, Viewed Product Category
"""


def case(path):
    return json.loads(path.read_text("utf-8"))


def case_name(path):
    return f"{path.parts[-3]}/{path.stem}"


def pointers(types, document):
    return [each.pointer for each in types.violations(document)]


class TestTheCases:
    def test_each_event_type_has_a_valid_and_an_invalid_one(self):
        for paths in (VALID, INVALID):
            assert {path.parts[-3] for path in paths} == {path.stem for path in FILES}
        assert {*VALID, *INVALID} == set(CASES.rglob("*.json"))

    @pytest.mark.parametrize("path", VALID, ids=case_name)
    def test_a_valid_one_breaks_nothing(self, path):
        assert case(path).keys() == {"description", "document"}
        TRACK.check(case(path)["document"])
        assert OURS.violations(case(path)["document"]) == []

    @pytest.mark.parametrize("path", INVALID, ids=case_name)
    def test_an_invalid_one_is_an_event_all_the_same_but_breaks_its_type(self, path):
        assert case(path).keys() == {"description", "pointers", "document"}
        TRACK.check(case(path)["document"])
        assert pointers(OURS, case(path)["document"]) == case(path)["pointers"]

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_the_example_of_a_type_is_one(self, path):
        event = case(path)["properties"]["event"]
        for example in event["examples"]:
            applied = OURS.applied_to({"event": example})
            assert applied is not None
            assert applied.names[0] == case(path)["title"]
            assert pointers(OURS, {"event": example}) == []


class TestOurTypes:
    def test_are_those_of_segmentstream(self):
        names = {name.strip() for name in NAMES.replace("\n", " ").split(",")}
        assert {name for each in segmentstream_types() for name in each.names} == names

    @pytest.mark.parametrize("path", [*FILES, *OBJECTS], ids=lambda path: path.stem)
    def test_describe_each_field_with_its_type_and_an_example(self, path):
        schema = case(path)
        assert schema["$id"] == f"/schemas/{path.parent.name}/{path.name}"
        for place, each in subschemas(schema):
            assert "additionalProperties" not in each, place
            for name, field in each.get("properties", {}).items():
                assert field["description"].endswith("."), (place, name)
                assert field["examples"], (place, name)
                assert {"type", "$ref", "const", "enum", "properties"} & field.keys(), (place, name)

    def test_take_a_user_at_the_top_level_for_one_in_the_event(self):
        document = {"event": {"name": "Registered"}, "user": {"userId": "u1"}}
        assert pointers(OURS, document) == []
        document["user"] = {"anonymousId": "a1"}
        assert pointers(OURS, document) == ["/event/user"]

    def test_take_what_browsers_send_as_well_as_what_the_documentation_says(self):
        product = {"id": 7, "name": "B", "currency": "USD", "unitPrice": 1, "unitSalePrice": 1}
        for category in ("A/B", ["A", "B"]):
            event = {"name": "Added Product", "product": {**product, "category": category}}
            assert pointers(OURS, {"event": event}) == []
        assert pointers(OURS, {"event": {"name": "Added Product", "product": "7"}}) == []

    def test_cost_less_than_ten_microseconds_for_the_documented_example(self):
        path = CASES.parent / "track" / "valid" / "documented-example.json"
        document = case(path)["document"]
        times = []
        for _ in range(50):
            start = perf_counter()
            for _ in range(100):
                OURS.check(document)
            times.append((perf_counter() - start) / 100)
        assert min(times) < 10e-6

    @pytest.mark.parametrize(
        "event",
        [
            {"name": "Lead", "label": 1, "customDimensions": [{}] * 15_000},
            {"name": "Lead", "customDimensions": [1] * 15_000},
            {
                "name": "Viewed Cart",
                "cart": {"lineItems": [{"product": "1", "quantity": 1}] * 1800},
            },
            {"name": "Registered", "user": dict.fromkeys(map(str, range(8000)))},
        ],
        ids=["good items", "bad items", "good lines", "many members"],
    )
    def test_cost_little_for_a_large_event_that_breaks_one(self, event):
        times = []
        for _ in range(3):
            start = perf_counter()
            assert OURS.violations({"event": event})
            times.append(perf_counter() - start)
        assert min(times) < 0.05

    def test_take_products_within_products_as_deep_as_json_may_be(self):
        product: dict = {"id": []}
        for _ in range(29):
            product = {"id": "1", "variations": [product]}
        found = OURS.check({"event": {"name": "Added Product", "product": product}})
        assert "/event/product" + "/variations/0" * 29 + "/id" in [v.pointer for v in found]


class TestRules:
    def test_report_counts_by_event_and_by_the_place_in_the_schema(self):
        lines = [{"product": "1", "quantity": "x"}, {"product": "2", "quantity": "x"}]
        cart = {"currency": "USD", "subtotal": 1, "total": 1, "lineItems": lines}
        place = "/event/cart/lineItems/*/quantity"
        counted = []
        types = EventTypes(count_violation=lambda *names: counted.append(names))
        found = types.check({"event": {"name": "Viewed Cart", "cart": cart}})
        assert len(found) == 2
        assert counted == [("Viewed Cart", place)]

    def test_a_name_that_the_client_made_up_is_no_metric(self, tmp_path):
        schema = plan("Signed", {"x": {"additionalProperties": {"type": "string"}}})
        counted = []
        types = EventTypes(
            EventTypeSettings(own=own(tmp_path, schema)), lambda *names: counted.append(names)
        )
        found = types.check({"event": {"name": "Signed", "x": {"made-up": 1}}})
        assert [each.pointer for each in found] == ["/event/x/made-up"]
        assert counted == [("Signed", "/event/x")]

    def test_reject_refuses_with_every_violation(self):
        types = EventTypes(EventTypeSettings("reject"))
        event = {"name": "Viewed Cart", "cart": {"currency": 1, "subtotal": 1, "lineItems": []}}
        with pytest.raises(InvalidEvent, match="2 violations of the event type 'Viewed Cart'") as e:
            types.check({"event": event})
        assert [v.pointer for v in e.value.violations] == [
            "/event/cart/currency",
            "/event/cart/total",
        ]

    def test_off_looks_at_nothing(self):
        types = EventTypes(EventTypeSettings("off"))
        assert types.check({"event": {"name": "Viewed Cart"}}) == ()

    @pytest.mark.parametrize("name", ["Something Else", "", None, 7, ["Registered"]])
    def test_an_unknown_name_is_allowed_reported_or_rejected(self, name):
        document = {"event": {"name": name}}
        assert OURS.check(document) == ()
        counted = []
        reporting = EventTypes(
            EventTypeSettings(on_unknown="report"), lambda *names: counted.append(names)
        )
        found = [Violation("/event/name", "is not the name of a known event type")]
        assert list(reporting.check(document)) == found
        with pytest.raises(InvalidEvent):
            EventTypes(EventTypeSettings("off", "reject")).check(document)
        assert counted == [("(unknown)", "/event/name")]

    def test_own_types_come_before_ours_of_the_same_name(self, tmp_path):
        schema = plan("Registered", {"plan": {"const": "free"}}, ["plan"])
        types = EventTypes(EventTypeSettings(own=own(tmp_path, schema)))
        assert pointers(types, EVENT) == ["/event/plan"]
        assert pointers(types, {"event": {"name": "Viewed Cart"}}) == ["/event/cart"]


DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def plan(name, properties, required=(), **beside):
    """A schema of events of that name, with other keywords beside its `properties`."""
    described = {"name": {"const": name}, **properties}
    event = {"properties": described, "required": list(required)}
    return {"properties": {"event": event}, **beside}


def own(folder, *schemas):
    paths = []
    for index, schema in enumerate(schemas):
        paths.append(folder / f"{index}.json")
        paths[-1].write_text(schema if isinstance(schema, str) else json.dumps(schema), "utf-8")
    return own_types(paths)


def refused(folder, *schemas):
    with pytest.raises(UnusableSchemas) as error:
        own(folder, *schemas)
    return [reason for _, reason in error.value.reasons]


class TestOwnTypes:
    def test_may_refer_to_our_objects_and_to_their_own_files(self, tmp_path):
        box = {"title": "Box", "properties": {"size": {"type": "number"}}}
        schema = plan(
            "Packed",
            {"cart": {"$ref": "/schemas/objects/cart.json"}, "box": {"$ref": "1.json"}},
        )
        (packed,) = own(tmp_path, schema, box)
        types = EventTypes(EventTypeSettings(own=(packed,)))
        event = {"name": "Packed", "cart": {"total": "x"}, "box": {"size": "x"}}
        assert pointers(types, {"event": event}) == ["/event/box/size", "/event/cart/total"]

    def test_are_named_by_const_enum_or_title(self, tmp_path):
        types = own(
            tmp_path,
            plan("A", {}),
            plan("", {"name": {"enum": ["B", "Old B"]}}),
            {"title": "C", "properties": {"event": {}}},
        )
        assert [each.names for each in types] == [("A",), ("B", "Old B"), ("C",)]

    def test_may_ask_for_members_beside_the_event(self, tmp_path):
        (kind,) = own(tmp_path, {**plan("Paid", {}), "required": ["hitId"]})
        types = EventTypes(EventTypeSettings(own=(kind,)))
        assert pointers(types, {"event": {"name": "Paid"}}) == ["/hitId"]

    @pytest.mark.parametrize(
        ("properties", "reason"),
        [
            ({"x": {"uniqueItems": True}}, "/x/uniqueItems: compares every item"),
            ({"x": {"pattern": "(a+)+b"}}, "/x/pattern: repeats a group that itself repeats"),
            ({"x": {"pattern": r"(a)\1"}}, "/x/pattern: must be a regular expression without back"),
            ({"x": {"pattern": "a(?=b)"}}, "/x/pattern: must be a regular expression without back"),
            ({"x": {"pattern": "("}}, "/x/pattern: must be a regular expression"),
            ({"x": {"patternProperties": {"a": {}}}}, "/x/patternProperties: tries every pattern"),
            ({"x": {"unevaluatedProperties": {}}}, "/x/unevaluatedProperties: looks at every"),
            ({"x": {"$dynamicRef": "#x"}}, "/x/$dynamicRef: is not supported"),
            ({"x": {"$ref": "https://example.com/x"}}, "/x/$ref: is none of the files"),
            ({"x": {"$ref": "other.json"}}, "/x/$ref: is none of the files"),
            ({"x": {"items": {"$id": "y"}}}, "/x/items/$id: only the whole file"),
        ],
    )
    def test_that_could_be_made_slow_or_fetch_something_are_refused(
        self, tmp_path, properties, reason
    ):
        (found,) = refused(tmp_path, plan("A", properties))
        assert found.startswith(f"/properties/event/properties{reason}")

    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            ("{", "cannot be read: Expecting property name"),
            ("[]", "cannot be read: must be a JSON Schema"),
            (plan("A", {"x": {"$ref": "#/nowhere"}}), "$ref: /nowhere leads nowhere"),
            (plan("A", {"x": {"$ref": "#/properties/event/properties/x"}}), "its references lead"),
            (plan("A", {"x": {"type": "text"}}), "/properties/event/properties/x/type is not as"),
            ({"properties": {"event": {}}}, "needs a title or a const"),
            (plan("A", {}, **{"$schema": "http://json-schema.org/draft-07/schema#"}), "$schema: "),
        ],
    )
    def test_that_are_no_schemas_are_refused(self, tmp_path, schema, reason):
        (found,) = refused(tmp_path, schema)
        assert found.startswith(reason)

    def test_of_one_name_are_refused(self, tmp_path):
        (found,) = refused(tmp_path, plan("A", {}), plan("A", {}))
        assert found == f"'A' is described in {tmp_path / '0.json'} too"

    def test_what_a_word_in_an_example_says_is_no_keyword(self, tmp_path):
        example = {"uniqueItems": True, "$ref": "https://example.com"}
        assert own(tmp_path, plan("A", {"x": {"examples": [example], "const": example}}))

    def test_a_pattern_takes_no_longer_than_its_text(self, tmp_path):
        types = EventTypes(
            EventTypeSettings(own=own(tmp_path, plan("A", {"x": {"pattern": "a+b"}}, **DIALECT)))
        )
        start = perf_counter()
        assert pointers(types, {"event": {"name": "A", "x": "a" * 60_000}}) == ["/event/x"]
        assert perf_counter() - start < 0.5  # backtracking takes several seconds


FIELDS = sorted(
    {
        name
        for path in [*FILES, *OBJECTS]
        for _, each in subschemas(case(path))
        for name in each.get("properties", {})
    }
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
        | st.fixed_dictionaries({"id": inner, "product": inner, "quantity": inner})
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    each=st.sampled_from(segmentstream_types()),
    fields=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=5),
)
def test_what_decides_and_what_explains_agree(each, fields):
    document = {"event": {**fields, "name": each.names[0]}}
    told = each.contract.violations(document)
    assert bool(each.contract.found(document)) is bool(told)


@pytest.mark.parametrize(
    ("pattern", "is_slow"),
    [
        ("^[a-z]+$", False),
        ("(?:ab)+", False),
        (r"^[0-9]{4}(?:-[0-9]{2}(?:T[0-9]{2})?)?$", False),
        (r"[)+*]+\)+", False),
        ("(a*)*", True),
        ("(?:a|aa)+", True),
        ("((a+)b)*", True),
        ("(a?){9}", True),
        ("(a{2,})+", True),
    ],
)
def test_a_repeated_repetition_is_seen(pattern, is_slow):
    assert bool(slow(pattern)) is is_slow
