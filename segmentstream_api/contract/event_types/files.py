"""Schema files → event types: SegmentStream's, and those that a configuration names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import jsonschema_rs
from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from segmentstream_api.contract.compiled import CompiledSchemas
from segmentstream_api.contract.event_types.safety import faults
from segmentstream_api.contract.event_types.subschemas import Places, subschemas
from segmentstream_api.contract.schemas import Contract, referred, schema_folder
from segmentstream_api.errors import UnusableSchemas


@dataclass(frozen=True, slots=True)
class EventType:
    """What a track call of an event with one of these names should be like."""

    names: tuple[str, ...]
    """The first one is today's, the others are older."""
    file: str
    contract: Contract = field(repr=False)
    places: Places = field(repr=False)


@cache
def segmentstream_types() -> tuple[EventType, ...]:
    """Those of `schemas/events`. Compiled once for every project."""
    schemas = our_schemas()
    others = referred(schemas)
    return tuple(
        _built(schema, schemas, others, uri.lstrip("/"))
        for uri, schema in schemas.items()
        if uri.startswith("/schemas/events/")
    )


def own_types(paths: Sequence[Path]) -> tuple[EventType, ...]:
    """The event types in these files. Raises UnusableSchemas with every reason.

    They may refer to one another, by relative path, and to ours, as `/schemas/objects/cart.json`.
    A file that does not describe `event` is there to be referred to.
    """
    reasons: list[tuple[str, str]] = []
    schemas: dict[Path, dict[str, Any]] = {}
    for path in paths:
        try:
            schemas[path] = _read(path)
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else str(error)
            reasons.append((str(path), f"cannot be read: {told}"))
    # What `/schemas/objects/cart.json` means to a file, and the files themselves:
    known = {f"file://{uri}": schema for uri, schema in our_schemas().items()}
    known |= {schema["$id"]: schema for schema in schemas.values()}
    for path, schema in schemas.items():
        reasons += [(str(path), fault) for fault in faults(schema, schema["$id"], known)]
    if reasons:
        raise UnusableSchemas(reasons)
    return _own_types(schemas, known)


def _own_types(
    schemas: Mapping[Path, dict[str, Any]], known: Mapping[str, dict[str, Any]]
) -> tuple[EventType, ...]:
    if not schemas:
        return ()
    reasons: list[tuple[str, str]] = []
    types: dict[str, EventType] = {}
    try:
        others = referred(known)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise UnusableSchemas(
            [(str(next(iter(schemas))), str(error).partition("\n")[0])]
        ) from error
    for path, schema in schemas.items():
        if "event" not in schema.get("properties", {}):
            continue  # it is there to be referred to
        try:
            built = _own_type(schema, known, others, str(path))
        except UnusableSchemas as error:
            reasons += error.reasons
            continue
        for name in built.names:
            if name in types:
                reasons.append((str(path), f"{name!r} is described in {types[name].file} too"))
            types[name] = built
    if reasons:
        raise UnusableSchemas(reasons)
    return tuple({id(each): each for each in types.values()}.values())


def _own_type(
    schema: dict[str, Any], known: Mapping[str, dict[str, Any]], others: CompiledSchemas, file: str
) -> EventType:
    try:
        return _built(schema, known, others, file)
    except SchemaError as error:
        place = "".join(f"/{part}" for part in error.absolute_path)
        reason = f"{place} is not as a schema must be: {error.validator}"
    except Unresolvable as error:
        reason = f"$ref: {error.ref} leads nowhere"
    except (ValueError, TypeError, jsonschema_rs.ValidationError) as error:
        reason = str(error).partition("\n")[0]
    raise UnusableSchemas([(file, reason)])


def _read(path: Path) -> dict[str, Any]:
    schema = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise ValueError("must be a JSON Schema, an object")  # noqa: TRY004 - as bad JSON is
    place = Path(os.path.normpath(path.absolute()))  # as references are: without `..`
    return _with_whole_addresses({**schema, "$id": place.as_uri()}, place.as_uri())


def _with_whole_addresses(schema: dict[str, Any], base: str) -> dict[str, Any]:
    """The schema, in which each `$ref` has become what it means there."""
    for _, each in subschemas(schema):
        if isinstance(each.get("$ref"), str):
            each["$ref"] = urljoin(base, each["$ref"])
    return schema


@cache
def our_schemas() -> Mapping[str, dict[str, Any]]:
    folder = schema_folder()
    paths = sorted([*folder.glob("events/*.json"), *folder.glob("objects/*.json")])
    schemas = [json.loads(path.read_text("utf-8-sig")) for path in paths]
    return {schema["$id"]: _with_whole_addresses(schema, schema["$id"]) for schema in schemas}


def _built(
    schema: dict[str, Any],
    schemas: Mapping[str, dict[str, Any]],
    others: CompiledSchemas,
    file: str,
) -> EventType:
    contract = Contract(schema, others)
    places = Places(schema, schemas)  # before anything is compiled: it finds circles
    contract.compile()
    return EventType(_names(schema), file, contract, places)


def _names(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The `const` or `enum` of the name, else the title."""
    name = schema["properties"]["event"].get("properties", {}).get("name", {})
    given = name.get("enum") or [name.get("const", schema.get("title"))]
    if not all(isinstance(each, str) and each for each in given):
        raise ValueError("needs a title or a const for the name of its event")
    return tuple(given)
