"""Segment's e-commerce events → SegmentStream's, by the table in `commerce.json`.

Source of the names: https://segment.com/docs/connections/spec/ecommerce/v2/.

`events` has the name of each event and its `fields`, which say what each field of ours is made of:
`["total", "revenue"]` is the first of these properties that is there, a number among them the
value without any; `{"object": …}` is an object with these fields, made of the same properties;
`{"each": …, "of": …}` is a list of such objects. Properties that no field is made of stay where
they are; those of an object in a list go to the object at `rest`, or stay in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


def translated(name: str, properties: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The event's name and properties in SegmentStream's words, where it has words for them."""
    event = _table()["events"].get(_normal(name))
    if event is None:
        return name, properties
    if "fields" not in event:
        return event["name"], properties
    made, rest = _made(event["fields"], properties)
    return event["name"], {**rest, **made}


def _made(fields: str, of: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that are made of these properties, and the properties that were not needed."""
    used: set[str] = set()
    made = _fields(fields, of, used)
    return made, {name: value for name, value in of.items() if name not in used}


def _fields(fields: str, of: Mapping[str, Any], used: set[str]) -> dict[str, Any]:
    made = {}
    for field, rule in _table()["fields"][fields].items():
        value = _value(rule, of, used)
        if value is not None and value != {}:
            made[field] = value
    return made


def _value(rule: Any, of: Mapping[str, Any], used: set[str]) -> Any:
    if "object" in rule:
        return _fields(rule["object"], of, used)
    if "each" in rule:
        found = _first(rule["of"], of, used)
        return [_item(rule, each) for each in found] if isinstance(found, list) else found
    return _first(rule, of, used)


def _first(names: list[Any], of: Mapping[str, Any], used: set[str]) -> Any:
    for name in names:
        if not isinstance(name, str):
            return name
        if of.get(name) is not None:
            used.add(name)
            return of[name]
    return None


def _item(rule: Mapping[str, Any], found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    made, rest = _made(rule["each"], found)
    at = rule.get("rest")
    if at is None:
        return {**rest, **made}
    return {**made, at: {**rest, **made.get(at, {})}}


def _normal(name: str) -> str:
    return " ".join(name.split()).casefold()


@cache
def _table() -> Mapping[str, Any]:
    text = files("segmentstream_api.sources.segment").joinpath("commerce.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    table["events"] = {_normal(name): event for name, event in table["events"].items()}
    return table
