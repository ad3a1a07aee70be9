"""Schemas that refer to one another, and a validator that explains them without losing time.

Called by `schemas.py`. References must be whole addresses, as `event_types` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_EXPLAINED = Draft202012Validator.VALIDATORS


class CompiledSchemas:
    """What `$ref` may lead to, by address; nothing else is ever fetched."""

    def __init__(
        self, schemas: Mapping[str, dict[str, Any]], formats: Mapping[str, Callable[[Any], bool]]
    ) -> None:
        self._formats = dict(formats)
        # With a `$schema`, jsonschema would go on with its own keywords inside.
        plain = {uri: without_dialect(each) for uri, each in schemas.items()}
        self._fast = jsonschema_rs.Registry([*plain.items()])
        self._deciding: dict[tuple[str, object], tuple[jsonschema_rs.Validator, object]] = {}
        self.registry: Registry[Any] = Registry[Any]().with_resources(
            (uri, DRAFT202012.create_resource(each)) for uri, each in plain.items()
        )
        # Python's own engine may take time that grows with the square of the text, or worse; and
        # of ten thousand items that are right, each would cost what a whole document costs.
        changed = {
            "pattern": _pattern,
            "$ref": self._where_wrong("$ref"),
            "items": self._where_wrong("items"),
        }
        self.explaining: type[Draft202012Validator] = extend(Draft202012Validator, changed)  # type: ignore[no-untyped-call]

    def deciding(self, schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
        return jsonschema_rs.validator_for(
            {**schema},
            validate_formats=True,
            formats=self._formats,
            registry=self._fast,
            pattern_options=jsonschema_rs.RegexOptions(),
        )

    def _where_wrong(self, keyword: str) -> Callable[..., Iterator[ValidationError]]:
        """Explains the keyword, but looks no closer at what is right."""

        def explained(
            validator: Any, value: Any, instance: object, schema: Any
        ) -> Iterator[ValidationError]:
            key = (keyword, value if isinstance(value, str) else id(value))
            if key not in self._deciding:  # with the value, so that nothing else gets its id
                self._deciding[key] = self.deciding({keyword: value}), value
            if not self._deciding[key][0].is_valid(instance):
                yield from _EXPLAINED[keyword](validator, value, instance, schema)

        return explained


def without_dialect(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$schema"}


@cache
def _linear(pattern: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
    )


def _pattern(
    _validator: object, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _linear(pattern).is_valid(instance):
        yield ValidationError(f"does not match {pattern}")
