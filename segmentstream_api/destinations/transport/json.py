"""JSON as vendors are sent it, and as they answer. Used by the adapters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from segmentstream_api.destinations.transport.sender import Answer

_FIRST_ERROR = 300


def encoded(value: Any) -> bytes:
    """The value as UTF-8 JSON on one line, without needless bytes."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def json_object(answer: Answer) -> Mapping[str, Any]:
    """The answer's body if it is a JSON object; empty for everything else, however broken."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def as_said(answer: Answer) -> Answer:
    """The answer with the status that its body states as `code`, where HTTP's says 200 to all."""
    code = json_object(answer).get("code")
    if answer.status == HTTPStatus.OK and isinstance(code, int) and code >= _FIRST_ERROR:
        return replace(answer, status=code)
    return answer


def indexes(value: Any) -> list[int]:
    """The whole numbers of a list: which events of a request a vendor means."""
    found = value if isinstance(value, list) else ()
    return [each for each in found if isinstance(each, int) and not isinstance(each, bool)]
