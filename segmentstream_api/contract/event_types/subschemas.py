"""What is inside a schema: its subschemas, and what its references lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urldefrag, urljoin

from referencing import Registry
from referencing.jsonschema import DRAFT202012

Schemas: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Schemas by the absolute address (`$id`) that references give."""

_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_DATA = frozenset({"const", "enum", "examples", "default", "x-violation"})
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_MAX_PARTS = 8  # ours: deeper places, as of variations of variations, count for the one above


def registry(schemas: Schemas) -> Registry[Any]:
    """What `$ref` may lead to; nothing else is ever fetched."""
    resources = [(uri, DRAFT202012.create_resource(schema)) for uri, schema in schemas.items()]
    return Registry[Any]().with_resources(resources)


def subschemas(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and those within it, each with its JSON Pointer."""
    if isinstance(schema, list):
        for index, each in enumerate(schema):
            yield from subschemas(each, f"{place}/{index}")
    if not isinstance(schema, dict):
        return
    yield place, schema
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, Mapping):
            for name, each in value.items():
                yield from subschemas(each, f"{place}/{key}/{name}")
        elif key not in _DATA:
            yield from subschemas(value, f"{place}/{key}")


def address(base: str, reference: str) -> str:
    """The file that a reference from a schema at `base` leads to."""
    return urldefrag(urljoin(base, reference))[0]


class Places:
    """The places that a document of this schema may be wrong in: a bounded set of pointers."""

    def __init__(self, schema: Mapping[str, Any], schemas: Schemas) -> None:
        """`schema` has an `$id`. Raises ValueError where references lead in a circle."""
        self._registry = registry(schemas)
        self._found: set[str] = {""}
        self._walk(schema, schema["$id"], (), ())

    def known(self, pointer: str) -> str:
        """The pointer with `*` for each index, up to where the schema knows it."""
        parts = ["*" if part.isdigit() else part for part in pointer.split("/")]
        while "/".join(parts) not in self._found:
            parts.pop()
        return "/".join(parts)

    def _walk(self, schema: Any, base: str, path: tuple[str, ...], on_way: tuple[int, ...]) -> None:
        """`on_way` are the schemas that are held against this same place already."""
        if not isinstance(schema, Mapping):
            return
        if id(schema) in on_way:
            raise ValueError("its references lead in a circle")
        inside = (*on_way, id(schema))
        if "$ref" in schema:
            resolved = self._registry.resolver(base).lookup(schema["$ref"])
            target = address(base, schema["$ref"])
            self._walk(resolved.contents, target, path, inside)
        for key in _IN_PLACE:
            inner = schema.get(key, ())
            for each in inner if isinstance(inner, list) else [inner]:
                self._walk(each, base, path, inside)
        for each in schema.get("dependentSchemas", {}).values():
            self._walk(each, base, path, inside)
        if len(path) == _MAX_PARTS:
            return
        below: dict[str, Any] = dict.fromkeys(schema.get("required", ()), True)
        below |= schema.get("properties", {})
        items = [("*", schema[key]) for key in ("items", "contains") if key in schema]
        for name, each in [*below.items(), *items]:
            part = name.replace("~", "~0").replace("/", "~1")
            self._found.add("".join(f"/{one}" for one in (*path, part)))
            self._walk(each, base, (*path, part), ())
