"""A validator's error → sentences that a client developer can act on. Called by `schemas.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

from segmentstream_api.errors import Violation

_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "a boolean",
    "null": "null",
}
_FOUND = {
    dict: _KINDS["object"],
    list: _KINDS["array"],
    str: _KINDS["string"],
    int: _KINDS["number"],
    float: _KINDS["number"],
    bool: _KINDS["boolean"],
    type(None): _KINDS["null"],
}
_RULES = {
    "type": "be {}",
    "enum": "be one of {}",
    "const": "be {}",
    "pattern": "match {}",
    "format": "be in the format {}",
    "minLength": "have {} or more characters",
    "maxLength": "have {} or fewer characters",
    "minimum": "be {} or more",
    "maximum": "be {} or less",
    "exclusiveMinimum": "be more than {}",
    "exclusiveMaximum": "be less than {}",
    "multipleOf": "be a multiple of {}",
    "minItems": "hold {} or more items",
    "maxItems": "hold {} or fewer items",
    "uniqueItems": "not hold one item twice",
    "minProperties": "hold {} or more members",
    "maxProperties": "hold {} or fewer members",
    "required": "have the member {}",
    "oneOf": "match exactly one of the alternatives",
}


def explained(error: ValidationError) -> Iterator[Violation]:
    schema: Any = error.schema if isinstance(error.schema, dict) else {}
    value: Any = error.validator_value
    instance: Any = error.instance
    here = _place(error)
    own = schema.get("x-violation")
    if own:
        yield Violation(own.get("pointer", here), own["detail"] + _found(error))
    elif error.validator == "required":
        for name in (name for name in value if name not in instance):
            kind = schema.get("properties", {}).get(name, {}).get("type")
            allowed = f"it must {_rule('type', kind)}" if kind else "it is required"
            yield Violation(here + _pointer([name]), f"is missing; {allowed}")
    elif error.validator == "additionalProperties":
        known = list(schema.get("properties", []))
        patterns = list(schema.get("patternProperties", []))
        allowed = ", ".join(known + [f"names that match {pattern}" for pattern in patterns])
        for name in instance:
            if name not in known and not any(re.search(pattern, name) for pattern in patterns):
                detail = f"is not known; allowed here: {allowed or 'nothing'}"
                yield Violation(here + _pointer([name]), detail)
    elif error.validator in {"anyOf", "oneOf"} and error.context:
        yield from _alternatives(error, here)
    elif error.schema is False:  # the library tells only what holds the forbidden thing
        yield Violation(here, "holds a member or an item that is not allowed")
    else:
        subject = "the name must" if _is_about_a_name(error) else "must"
        yield Violation(here, f"{subject} {_rule(error.validator, value)}{_found(error)}")


def _alternatives(error: ValidationError, here: str) -> Iterator[Violation]:
    """What is wrong in the one alternative that was meant, or else what each of them wants.

    Meant is an alternative whose type, and whose constants one level down, the document meets.
    """
    alternatives: dict[object, list[ValidationError]] = {}
    for inner in error.context:
        alternatives.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [group for group in alternatives.values() if not any(map(_is_another_kind, group))]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from explained(inner)
        return
    wanted: dict[str, None] = {}  # a set that keeps the order of the schema
    for inner in list(filter(_is_another_kind, error.context)) or error.context:
        place = _place(inner)
        rule = f"must {_rule(inner.validator, inner.validator_value)}"
        wanted[rule if place == here else f"{place} {rule}"] = None
    yield Violation(here, f"{', or '.join(wanted)}; found {_kind(error.instance)}")


def _is_another_kind(error: ValidationError) -> bool:
    depth = len(error.relative_path)
    return (error.validator == "type" and depth == 0) or (
        error.validator in {"const", "enum"} and depth <= 1
    )


def _rule(keyword: object, value: Any) -> str:
    """What a keyword demands, to follow "must": the schema's words, none of the document's."""
    values = value if isinstance(value, list) else [value]
    if keyword == "type":
        return "be " + " or ".join(_KINDS[kind] for kind in values)
    if keyword in {"enum", "const", "required"}:
        values = [json.dumps(each, ensure_ascii=False) for each in values]
    return _RULES.get(str(keyword), "follow the rule {keyword}").format(
        ", ".join(map(str, values)), keyword=keyword
    )


def _found(error: ValidationError) -> str:
    """The kind of value that was found; of alternatives, in each place where one failed."""
    if not error.context:
        return "" if error.validator == "required" else f"; found {_kind(error.instance)}"
    found = [
        f"{_kind(leaf.instance)} at {_place(leaf)}"
        for leaf in _leaves(error)
        if leaf.validator != "required"
    ]
    return f"; found {', '.join(dict.fromkeys(found))}" if found else ""


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    for inner in error.context:
        yield from _leaves(inner)
    if not error.context:
        yield error


def _is_about_a_name(error: ValidationError) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _place(error: ValidationError) -> str:
    name = [error.instance] if _is_about_a_name(error) else []
    return _pointer([*error.absolute_path, *name])


def _kind(value: object) -> str:
    kind = _FOUND.get(type(value), f"a {type(value).__name__}")  # TOML knows dates and times
    return f"{kind} of length {len(value)}" if isinstance(value, (str, list)) else kind


def _pointer(path: Iterable[object]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
