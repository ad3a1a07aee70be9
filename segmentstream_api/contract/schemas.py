"""The schemas of `schemas/*.json`: where they are, and in which places a document breaks one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import takewhile
from operator import attrgetter
from pathlib import Path
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, FormatChecker

from segmentstream_api.contract.compiled import CompiledSchemas, without_dialect
from segmentstream_api.contract.violations import explained
from segmentstream_api.errors import InvalidEvent, Violation
from segmentstream_api.timestamps import parse_instant

MAX_VIOLATIONS = 50  # ours: nobody reads more, and it bounds the work for a hostile document

# The pattern of sentAt. Python's own parser takes more than this, and more with every version.
ISO_8601 = (
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?)?"
)
_ISO_8601 = re.compile(ISO_8601)
ISO_8601_FORMAT = "iso-8601"
_FORMATS = FormatChecker(formats=())


def schema_folder(package: Path = Path(__file__).parents[1]) -> Path:
    """Where the schemas are: inside an installed package, or at the top of a checkout."""
    installed = package / "data" / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


def load_schema(name: str) -> dict[str, Any]:
    """The schema in the file `name`, relative to the schema folder."""
    schema: dict[str, Any] = json.loads((schema_folder() / name).read_text("utf-8"))
    return schema


@_FORMATS.checks(ISO_8601_FORMAT)
def _is_iso_8601(value: object) -> bool:
    """Whether it is no string at all, or one that names a moment."""
    if not isinstance(value, str):
        return True
    try:
        return bool(_ISO_8601.fullmatch(value) and parse_instant(value))
    except ValueError:
        return False


def referred(schemas: Mapping[str, dict[str, Any]]) -> CompiledSchemas:
    """What the schemas of contracts may refer to, by address."""
    return CompiledSchemas(schemas, {ISO_8601_FORMAT: _is_iso_8601})


class Contract:
    """A schema that documents are held against; built once, used by every thread."""

    def __init__(self, schema: dict[str, Any], others: CompiledSchemas | None = None) -> None:
        """`others` are what `$ref` may lead to. With them, patterns take linear time.

        Raises jsonschema's SchemaError if it is no schema (draft 2020-12).
        """
        Draft202012Validator.check_schema(schema)
        self._schema = schema
        self._others = others
        if others is None:
            self._explaining = Draft202012Validator(schema, format_checker=_FORMATS)
        else:
            self._explaining = others.explaining(
                without_dialect(schema), registry=others.registry, format_checker=_FORMATS
            )

    @classmethod
    def load(cls, name: str) -> Contract:
        return cls(load_schema(name))

    def check(self, document: Any) -> None:
        """Raises InvalidEvent with what `violations` finds."""
        violations = self.found(document)
        if violations:
            raise InvalidEvent(violations, places=(self._place(each) for each in violations))

    def found(self, document: Any) -> list[Violation]:
        """What `violations` finds, decided sooner where that is nothing."""
        return [] if self._deciding.is_valid(document) else self.violations(document)

    def compile(self) -> None:
        """What the first document would otherwise wait for."""
        _ = self._deciding

    def _place(self, violation: Violation) -> str:
        """The pointer up to the first name that the schema does not know."""
        parts = violation.pointer.split("/")
        known = takewhile(lambda part: part.isdigit() or part in self._names, parts[1:])
        return "/".join(["", *known])

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(_property_names(self._schema))

    @cached_property
    def _deciding(self) -> jsonschema_rs.Validator:
        """Decides in a fiftieth of the time; what it refuses, jsonschema explains."""
        if self._others is not None:
            return self._others.deciding(self._schema)
        return jsonschema_rs.validator_for(
            self._schema, validate_formats=True, formats={ISO_8601_FORMAT: _is_iso_8601}
        )

    def violations(self, document: Any) -> list[Violation]:
        """Every place that is wrong, by pointer, at most `MAX_VIOLATIONS`.

        The details say what is allowed and what kind of value was found, never the value.
        `x-violation` in a schema replaces the sentence, and its `pointer` the place, of the
        errors of that subschema's own keywords.
        """
        found: set[Violation] = set()
        for error in self._explaining.iter_errors(document):
            found.update(explained(error))
            if len(found) >= MAX_VIOLATIONS:
                break
        return sorted(found, key=attrgetter("pointer", "detail"))[:MAX_VIOLATIONS]


def _property_names(schema: Any) -> Iterator[str]:
    """The names in every `properties` of a schema, wherever in it."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for each in schema.values():
            yield from _property_names(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _property_names(each)
