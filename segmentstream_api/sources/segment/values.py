"""Reading a call's fields as SDKs write them: null or "" for nothing, [] for {}, ids as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from segmentstream_api.errors import Violation

MAX_ID_CHARACTERS = 256
"""Of a hit id: schemas/track.json."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Unusable(Exception):
    """The call cannot become an event; `violation` says which field is the reason."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.violation = Violation(pointer, detail)


def identifier(value: Any) -> str | None:
    """An id as text, None for what is none: null, "", true, an object."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def hit_id(value: Any) -> str | None:
    """A message id that can be a hit id, None for one that cannot."""
    found = (identifier(value) or "").strip()
    usable = found and len(found) <= MAX_ID_CHARACTERS and not _CONTROLS.search(found)
    return found if usable else None


def members(call: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object at `name`, empty for what stands for one: nothing, null, or PHP's [].

    Raises Unusable for anything else.
    """
    value = call.get(name)
    if isinstance(value, dict):
        return value
    if value is None or value == []:
        return {}
    raise Unusable(f"/{name}", "must be an object")


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
