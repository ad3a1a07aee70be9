"""A schema with one demand less, for each of its demands: to see whether the cases notice."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from segmentstream_api.contract.event_types.subschemas import subschemas

# They demand nothing of a document. x-violation says only how a broken demand is told.
_ANNOTATIONS = frozenset({"$schema", "$id", "title", "description", "examples", "x-violation"})
_LISTS = frozenset({"required", "type", "enum"})


def mutations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was taken away, as a JSON Pointer, and the schema without it."""
    for number, (place, each) in enumerate(subschemas(schema)):
        for keyword, value in each.items():
            if keyword in _ANNOTATIONS or keyword == "properties":
                continue  # what its properties demand is taken away one by one
            items = value if keyword in _LISTS and isinstance(value, list) else [""]
            for index, item in enumerate(items):
                changed = copy.deepcopy(schema)
                target = [inner for _, inner in subschemas(changed)][number]
                if item:
                    del target[keyword][index]
                else:
                    del target[keyword]
                yield f"{place}/{keyword}/{item}".rstrip("/"), changed
