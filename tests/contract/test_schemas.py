import json
import re
import shutil
from contextlib import suppress
from itertools import chain
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from jsonschema.exceptions import SchemaError

from segmentstream_api.contract.schemas import (
    ISO_8601,
    MAX_VIOLATIONS,
    Contract,
    load_schema,
    schema_folder,
)
from segmentstream_api.errors import InvalidEvent, Violation
from tests.documents import DOCUMENTS

CASES = Path(__file__).parents[1] / "cases" / "track"
VALID = sorted((CASES / "valid").glob("*.json"))
INVALID = sorted((CASES / "invalid").glob("*.json"))
TRACK = Contract.load("track.json")


def case(path):
    return json.loads(path.read_text("utf-8"))


def name(path):
    return path.stem


def violations(schema, document):
    return [(v.pointer, v.detail) for v in Contract(schema).violations(document)]


class TestTheContractOfTrack:
    def test_there_are_cases(self):
        assert len(VALID) >= 20
        assert len(INVALID) >= 25

    @pytest.mark.parametrize("path", VALID, ids=name)
    def test_a_valid_case_is_accepted(self, path):
        assert case(path).keys() == {"description", "document"}
        document = case(path)["document"]
        TRACK.check(document)
        assert TRACK.violations(document) == []

    @pytest.mark.parametrize("path", INVALID, ids=name)
    def test_an_invalid_case_is_refused_with_its_pointers(self, path):
        assert case(path).keys() == {"description", "pointers", "document"}
        with pytest.raises(InvalidEvent) as refused:
            TRACK.check(case(path)["document"])
        assert [v.pointer for v in refused.value.violations] == case(path)["pointers"]

    def test_the_example_in_the_schema_is_the_documented_one(self):
        documented = case(CASES / "valid" / "documented-example.json")["document"]
        assert load_schema("track.json")["examples"] == [documented]

    def test_every_field_is_described_and_every_described_field_has_an_example(self):
        def fields(schema):
            for key, field in schema.get("properties", {}).items():
                yield key, field
                yield from fields(field)

        documented = list(fields(load_schema("track.json")))
        assert len(documented) > 40
        assert not [key for key, field in documented if "description" not in field]
        assert not [k for k, f in documented if not {"examples", "properties"} & f.keys()]

    def test_a_document_is_left_as_it_is(self):
        document = case(CASES / "valid" / "unknown-fields.json")["document"]
        before = json.dumps(document)
        TRACK.check(document)
        assert json.dumps(document) == before


class TestTheSentences:
    def test_a_missing_event_is_named(self):
        assert TRACK.violations({}) == [Violation("/event", "is missing; it must be an object")]

    def test_the_user_id_rule_says_what_to_send_and_which_ids_were_no_use(self):
        document = {"event": {"user": {"userId": 17, "anonymousId": None}}, "user": {"userId": ""}}
        assert TRACK.violations(document) == [
            Violation(
                "/event/user",
                "userId or anonymousId is required: a non-empty string in event.user "
                "(or in a top-level user); found null at /event/user/anonymousId, "
                "a number at /event/user/userId, a string of length 0 at /user/userId",
            )
        ]

    def test_a_sentence_of_the_schema_is_given_once_however_many_keywords_broke(self):
        assert TRACK.violations({"event": {"user": {"userId": "u"}}, "sentAt": "soon"}) == [
            Violation(
                "/sentAt",
                "must be an ISO 8601 date or date-time, such as 2019-02-21T10:56:10.723Z, "
                "or left out for the server's time; found a string of length 4",
            )
        ]

    def test_a_sentence_of_the_schema_may_stand_with_any_keyword(self):
        said = {"x-violation": {"detail": "is wrong"}}
        assert violations({"required": ["a", "b"], **said}, {}) == [("", "is wrong")]
        assert violations({"minimum": 1, **said}, 0) == [("", "is wrong; found a number")]
        schema = {"items": {"anyOf": [{"type": "string"}, {"type": "array"}], **said}}
        assert violations(schema, [0]) == [("/0", "is wrong; found a number at /0")]

    def test_no_value_of_the_client_is_repeated(self):
        secret = "s3cret\n"
        document = {
            "hitId": secret,
            "sentAt": secret,
            "event": {"user": {"userId": [secret], "anonymousId": {"id": secret}}},
            "user": secret,
            "context": [secret],
            "integrations": {"crm": secret},
        }
        found = TRACK.violations(document)
        assert len(found) == 5
        assert "s3cret" not in str(found)

    def test_at_most_fifty_violations_are_given(self):
        document = {"event": {}, "integrations": {str(i): None for i in range(1000)}}
        found = TRACK.violations(document)
        assert len(found) == MAX_VIOLATIONS == 50
        assert found == sorted(found, key=lambda v: v.pointer)
        assert "/event/user" in [v.pointer for v in found]
        unknown = dict.fromkeys(map(str, range(1000)))
        assert len(violations({"additionalProperties": False}, unknown)) == MAX_VIOLATIONS

    @pytest.mark.parametrize(
        ("schema", "document", "detail"),
        [
            ({"type": "integer"}, "x", "must be a whole number; found a string of length 1"),
            ({"type": ["array", "null"]}, {}, "must be an array or null; found an object"),
            ({"type": "boolean"}, 1, "must be a boolean; found a number"),
            (
                {"enum": ["a", 1, None]},
                "b",
                'must be one of "a", 1, null; found a string of length 1',
            ),
            ({"const": "a"}, True, 'must be "a"; found a boolean'),
            ({"pattern": "^[a-z]+$"}, "A", "must match ^[a-z]+$; found a string of length 1"),
            (
                {"format": "iso-8601"},
                "now",
                "must be in the format iso-8601; found a string of length 3",
            ),
            ({"minLength": 2}, "A", "must have 2 or more characters; found a string of length 1"),
            ({"maxLength": 1}, "AB", "must have 1 or fewer characters; found a string of length 2"),
            ({"minimum": 1}, 0, "must be 1 or more; found a number"),
            ({"maximum": 1}, 2, "must be 1 or less; found a number"),
            ({"exclusiveMinimum": 0}, 0.0, "must be more than 0; found a number"),
            ({"exclusiveMaximum": 1}, 1, "must be less than 1; found a number"),
            ({"multipleOf": 5}, 1, "must be a multiple of 5; found a number"),
            ({"minItems": 1}, [], "must hold 1 or more items; found an array of length 0"),
            ({"maxItems": 1}, [1, 2], "must hold 1 or fewer items; found an array of length 2"),
            (
                {"uniqueItems": True},
                [1, 1],
                "must not hold one item twice; found an array of length 2",
            ),
            ({"minProperties": 1}, {}, "must hold 1 or more members; found an object"),
            ({"maxProperties": 0}, {"a": 1}, "must hold 0 or fewer members; found an object"),
            ({"not": {}}, 1, "must follow the rule not; found a number"),
        ],
    )
    def test_a_keyword_says_what_is_allowed_and_what_was_found(self, schema, document, detail):
        assert violations({"properties": {"x": schema}}, {"x": document}) == [("/x", detail)]

    def test_an_unknown_member_is_told_the_known_ones(self):
        schema = {"properties": {"path": {}, "url": {}}, "additionalProperties": False}
        assert violations(schema, {"path": 1, "pth": 2, "u/l": 3}) == [
            ("/pth", "is not known; allowed here: path, url"),
            ("/u~1l", "is not known; allowed here: path, url"),
        ]

    def test_an_unknown_member_is_told_the_patterns(self):
        schema = {"patternProperties": {"^[a-z]+$": {}}, "additionalProperties": False}
        assert violations(schema, {"ok": 1, "Not": 2}) == [
            ("/Not", "is not known; allowed here: names that match ^[a-z]+$"),
        ]

    def test_a_member_where_none_may_be_is_told_so(self):
        assert violations({"additionalProperties": False}, {"a": 1}) == [
            ("/a", "is not known; allowed here: nothing")
        ]
        assert violations({"properties": {"a": False}}, {"a": 1}) == [
            ("", "holds a member or an item that is not allowed")
        ]

    def test_a_wrong_name_is_told_from_a_wrong_value(self):
        schema = {"propertyNames": {"pattern": "^[a-z]+$"}}
        assert violations({"properties": {"projects": schema}}, {"projects": {"a/B": "x"}}) == [
            ("/projects/a~1B", "the name must match ^[a-z]+$; found a string of length 3")
        ]

    def test_every_missing_member_is_named(self):
        schema = {"required": ["a", "b", "c"], "properties": {"b": {"type": "string"}}}
        assert violations({"items": schema}, [{"c": 1}]) == [
            ("/0/a", "is missing; it is required"),
            ("/0/b", "is missing; it must be a string"),
        ]

    def test_of_alternatives_the_one_that_was_meant_is_explained(self):
        schema = {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["path"],
                    "properties": {"type": {"const": "file"}, "days": {"type": "integer"}},
                },
                {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"type": {"const": "webhook"}},
                },
            ]
        }
        assert violations({"items": schema}, [{"type": "file", "days": "x"}]) == [
            ("/0/days", "must be a whole number; found a string of length 1"),
            ("/0/path", "is missing; it is required"),
        ]
        each = 'must be a string, or /type must be "file", or /type must be "webhook"'
        assert violations(schema, {"type": "ftp"}) == [("", f"{each}; found an object")]
        assert violations(schema, 1) == [
            ("", "must be a string, or must be an object; found a number")
        ]

    def test_without_a_meant_alternative_each_one_says_what_it_wants(self):
        schema = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
        assert violations(schema, {}) == [
            ("", 'must have the member "a", or must have the member "b"; found an object')
        ]

    def test_more_than_one_alternative_at_once_is_said_so(self):
        schema = {"oneOf": [{"type": "string"}, {"maxLength": 9}]}
        assert violations(schema, "x") == [
            ("", "must match exactly one of the alternatives; found a string of length 1")
        ]


class TestASchemaOfOnesOwn:
    def test_is_checked_itself(self):
        with pytest.raises(SchemaError):
            Contract({"type": "objekt"})

    @pytest.mark.parametrize("schema", [{}, {"title": "anything"}])
    def test_may_allow_anything(self, schema):
        Contract(schema).check(1)

    @pytest.mark.parametrize(
        "field",
        [
            {"type": "string"},
            {"description": "d", "properties": {"y": {"type": "string"}}},
            {"description": "d", "$ref": "#/$defs/text"},
            {"description": "d", "if": {"type": "number"}, "then": {"minimum": 9}},
            False,
        ],
    )
    def test_decides_by_everything_but_documentation(self, field):
        schema = {"$defs": {"text": {"type": "string"}}, "properties": {"x": field}}
        document = {"x": {"y": 1} if isinstance(field, dict) and "properties" in field else 1}
        with pytest.raises(InvalidEvent):
            Contract(schema).check(document)

    def test_knows_a_property_that_is_only_described(self):
        schema = {"properties": {"x": {"description": "free"}}, "additionalProperties": False}
        Contract(schema).check({"x": 1})


class TestTheDates:
    def test_the_pattern_in_the_schema_is_the_one_of_the_format(self):
        assert load_schema("track.json")["properties"]["sentAt"]["pattern"] == f"^{ISO_8601}$"

    def test_the_format_alone_refuses_what_the_pattern_lets_through(self):
        contract = Contract({"format": "iso-8601"})
        assert not contract.violations("2020-02-29T23:59:59.9+14:00")
        assert not contract.violations(17)
        for text in [
            "2019-02-29",
            "2019-02-21\n",
            "0001-01-01T00:00+00:01",
            "2019-02-21 10:56",
            "",
        ]:
            assert contract.violations(text), text


class TestTheFolder:
    def test_is_inside_the_package_once_it_is_installed(self, tmp_path):
        package = tmp_path / "site-packages" / "segmentstream_api"
        shutil.copytree(schema_folder(), package / "data" / "schemas")
        assert schema_folder(package) == package / "data" / "schemas"

    def test_is_beside_the_package_in_a_checkout(self, tmp_path):
        assert schema_folder(tmp_path / "segmentstream_api") == tmp_path / "schemas"

    @pytest.mark.parametrize(
        "path", sorted(schema_folder().rglob("*.json")), ids=lambda path: path.name
    )
    def test_every_schema_in_it_is_one_and_cannot_be_made_slow(self, path):
        text = path.read_text("utf-8")
        Contract(json.loads(text))
        assert "uniqueItems" not in text
        assert not re.search(r"[+*}]\)[+*{]", text), "a quantifier of a quantified group"


HOSTILE = {
    "a long hitId": lambda n: {"hitId": "a" * n + "\0"},
    "a long sentAt": lambda n: {"sentAt": f"2019-02-21T10:56:10.{'1' * n}"},
    "a long sentAt with a wrong end": lambda n: {"sentAt": f"2019-02-21T10:56:10.{'1' * n}!"},
    "many integrations": lambda n: {"integrations": {f"{i:x}": {} for i in range(n // 8)}},
    "many wrong integrations": lambda n: {"integrations": {f"{i:x}": 0 for i in range(n // 8)}},
    "many fields without a user": lambda n: {"event": dict.fromkeys(map(str, range(n // 8)))},
    "a large array": lambda n: [0] * (n // 2),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_time_grows_no_faster_than_the_body(make):
    def seconds(size):
        document = make(size)
        if isinstance(document, dict):
            document = {"event": {"user": {"userId": "u"}}, **document}
        times = []
        for _ in range(5):
            start = perf_counter()
            with suppress(InvalidEvent):
                TRACK.check(document)
            TRACK.violations(document)
            times.append(perf_counter() - start)
        return min(times)

    # Sixteen times the size: linear is 16, quadratic is 256. A millisecond covers the clock.
    assert seconds(64_000) < 64 * seconds(4_000) + 0.001


def test_the_cases_are_all_used():
    assert set(chain(VALID, INVALID)) == set(CASES.rglob("*.json"))


TRACK = Contract.load("track.json")


def decides(document):
    try:
        TRACK.check(document)
    except InvalidEvent:
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(document=DOCUMENTS)
def test_the_fast_validator_and_the_one_that_explains_agree(document):
    assert decides(document) is (TRACK.violations(document) == [])
