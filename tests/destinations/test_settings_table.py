from __future__ import annotations

from typing import Any

import pytest

from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.settings_table import settings_of


def described(required=(), **properties: Any):
    class Acme(Destination):
        settings_schema = {"properties": properties, "required": list(required)}  # noqa: RUF012 - never changed

        def send(self, deliveries):
            raise NotImplementedError

    return settings_of(Acme)


def test_the_required_settings_come_first_and_the_others_in_the_order_of_the_schema():
    found = described(a={}, b={}, c={}, d={}, required=["d", "b"])
    assert [setting.name for setting in found] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "path"}, "path"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "integer", "minimum": 1}, "whole number"),
        ({"type": "number", "minimum": 0.1, "maximum": 60}, "number, 0.1 to 60"),
        ({"type": ["string", "integer"]}, "text or whole number"),
        ({"type": "array"}, "list"),
        ({"type": "object"}, "table"),
        ({"enum": ["eu", "us"]}, '"eu" or "us"'),
        ({"oneOf": [{"type": "string"}, {"type": "array"}]}, "text or list"),
        ({"type": "null"}, "null"),
        ({}, "anything"),
    ],
)
def test_a_kind_is_said_in_words(rule, kind):
    (setting,) = described(a=rule)
    assert setting.kind == kind


@pytest.mark.parametrize(
    ("rule", "required", "otherwise"),
    [
        ({}, ["a"], "required"),
        ({}, [], ""),
        ({"default": 10}, [], "10"),
        ({"default": False}, [], "false"),
        ({"default": "ü"}, [], '"ü"'),
        ({"default": {}}, [], "{}"),
    ],
)
def test_what_holds_without_a_setting_is_said_as_toml_writes_it(rule, required, otherwise):
    (setting,) = described(a=rule, required=required)
    assert setting.otherwise == otherwise


def test_secrets_are_marked():
    (setting,) = described(a={"writeOnly": True, "description": "The key."})
    assert setting.secret
    assert setting.description == "The key."
