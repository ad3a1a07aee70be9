"""Places in the file: how problems name them, and how to visit those that the schema may refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from segmentstream_api.contract.schemas import Contract
from segmentstream_api.errors import Problem


def tables(document: Mapping[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each table of the section; what is none has been found by the schema."""
    tables = document.get(section)
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict):
            yield name, table


def strings(table: Mapping[str, Any], key: str) -> Iterator[tuple[int, str]]:
    """Index and text of each string of the array, likewise."""
    array = table.get(key)
    for index, item in enumerate(array if isinstance(array, list) else ()):
        if isinstance(item, str):
            yield index, item


def violations(schema: Mapping[str, Any], document: Any, place: tuple[str, ...]) -> list[Problem]:
    return [
        Problem(dotted((*place, *_parts(violation.pointer))) or "the file", violation.detail)
        for violation in Contract(dict(schema)).violations(document)
    ]


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def dotted(place: tuple[str, ...]) -> str:
    """`destinations.crm.url`, as TOML writes it; a place in a list is its index."""
    return ".".join(place)
