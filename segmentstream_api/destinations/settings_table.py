"""A destination's settings as people read them, from its schema.

Used by the command `destinations`; the tables in docs/destinations/ are made with it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segmentstream_api.destinations.base import Destination

_KINDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "array": "list",
    "object": "table",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """`kind` is what may be written, `default` what is taken otherwise: None if nothing is."""

    name: str
    kind: str
    required: bool
    default: Any
    secret: bool
    description: str

    @property
    def otherwise(self) -> str:
        """What holds without it: `required`, the default as TOML writes it, or nothing."""
        if self.required:
            return "required"
        return "" if self.default is None else json.dumps(self.default, ensure_ascii=False)


def settings_of(destination_class: type[Destination]) -> list[Setting]:
    """Its own settings, the required ones first."""
    schema = destination_class.settings_schema
    required = schema.get("required", ())
    settings = [
        Setting(
            name=name,
            kind=_kind(rule),
            required=name in required,
            default=rule.get("default"),
            secret=bool(rule.get("writeOnly")),
            description=rule.get("description", ""),
        )
        for name, rule in schema["properties"].items()
    ]
    return sorted(settings, key=lambda setting: not setting.required)


def _kind(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in rule["enum"])
    if rule.get("format") == "path":
        return "path"
    for alternatives in ("oneOf", "anyOf"):
        if alternatives in rule:
            return " or ".join(_kind(each) for each in rule[alternatives])
    given = rule.get("type", ())
    names = [given] if isinstance(given, str) else given
    kind = " or ".join(_KINDS.get(name, name) for name in names) or "anything"
    lowest, highest = rule.get("minimum"), rule.get("maximum")
    if lowest is not None and highest is not None:
        return f"{kind}, {lowest} to {highest}"
    return kind
