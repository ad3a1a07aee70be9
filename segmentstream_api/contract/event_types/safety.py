"""Which schemas are refused because a hostile document could make them slow, or for ever open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from segmentstream_api.contract.event_types.subschemas import Schemas, address, subschemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFUSED = {
    "uniqueItems": "compares every item with every other",
    "patternProperties": "tries every pattern on every name; use properties or propertyNames",
    "unevaluatedProperties": "looks at every member again and again; use additionalProperties",
    "unevaluatedItems": "looks at every item again and again; use items",
    "$dynamicRef": "is not supported; use $ref",
}


def faults(schema: Mapping[str, Any], base: str, schemas: Schemas) -> Iterator[str]:
    """What is wrong with the schema at `base`, each with its place in it.

    References may lead to `schemas` alone.
    """
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        yield f"$schema: must be {DIALECT}"
    for place, each in subschemas(schema):
        for keyword, why in _REFUSED.items():
            if each.get(keyword, False) is not False:
                yield f"{place}/{keyword}: {why}"
        for keyword in {"$id", "$schema"} & each.keys() if place else ():
            yield f"{place}/{keyword}: only the whole file may have one"
        pattern = each.get("pattern")
        if isinstance(pattern, str) and (reason := slow(pattern)):
            yield f"{place}/pattern: {reason}"
        reference = each.get("$ref")
        if isinstance(reference, str) and address(base, reference) not in schemas:
            yield f"{place}/$ref: is none of the files that `schemas` names; nothing is fetched"


def slow(pattern: str) -> str | None:
    """Why the regular expression is refused, or None."""
    if _repeats_a_repetition(pattern):
        return "repeats a group that itself repeats or has alternatives"
    try:
        jsonschema_rs.validator_for(
            {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, jsonschema_rs.ValidationError):
        return "must be a regular expression without backreferences and look-around"
    return None


def _repeats_a_repetition(pattern: str) -> bool:
    """`(a+)+`, `(a|b)*`, `(a?){9}`: what a backtracking engine tries in exponentially many ways."""
    groups = [False]  # for each open group, whether it holds a quantifier or an alternative
    in_class, index = False, 0
    while index < len(pattern):
        character = pattern[index]
        following = pattern[index + 1 : index + 2]
        if character == "\\":
            index += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character == "(":
            groups.append(False)
            index += following == "?"  # of (?: and no quantifier
        elif character == ")" and len(groups) > 1:
            inner = groups.pop()
            if inner and following and following in "*+{":
                return True
            groups[-1] |= inner
        elif character in "*+{?|":
            groups[-1] = True
        index += 1
    return False
