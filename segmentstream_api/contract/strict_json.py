"""Bytes → JSON document: the strict reading that every source shares (RFC 8259)."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any

from segmentstream_api.errors import (
    InvalidJson,
)

MAX_DEPTH = 64  # ours: events are about 6 deep, and code behind us may recurse on them safely


_TOO_DEEP = f"Objects and arrays are nested more than {MAX_DEPTH} deep."


_BOM = "\ufeff"


_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> Any:
    """The document that the bytes hold as UTF-8 JSON (RFC 8259); of duplicate keys, the last.

    What it returns can be written again as UTF-8 JSON: finite numbers, no lone surrogates, at
    most `MAX_DEPTH` deep. Raises InvalidJson, which tells the place but never the text.
    """
    text = _decoded(body)
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidJson(f"{error.msg.rstrip(': ')} at {place}.") from error
    except RecursionError as error:
        raise InvalidJson(_TOO_DEEP) from error
    except ValueError as error:  # int() refuses long numbers: its time grows with their square
        limit = sys.get_int_max_str_digits()
        raise InvalidJson(f"A number has more than {limit} digits.") from error
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    if _SURROGATE_ESCAPE.search(text):
        _check_surrogates(document)
    return document


def _decoded(body: bytes) -> str:
    if not body:
        raise InvalidJson("The body is empty; send one event as a JSON object.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(f"The body must be UTF-8; byte {error.start} is not.") from error
    if text.startswith(_BOM):
        raise InvalidJson("The body starts with a byte order mark; send UTF-8 without one.")
    return text


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise InvalidJson("A number is too large: more than about 1.8e308.")
    return value


def _not_json(constant: str) -> None:
    raise InvalidJson(f"{constant} is not JSON; leave the member out or send null.")


def _check_depth(document: Any) -> None:
    """Level by level and not recursively, since the depth is what is in doubt."""
    containers: list[Any] = [[document]]
    for _ in range(MAX_DEPTH + 1):
        containers = [
            value
            for container in containers
            for value in (container.values() if isinstance(container, dict) else container)
            if isinstance(value, (dict, list))
        ]
        if not containers:
            return
    raise InvalidJson(_TOO_DEEP)


def _check_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidJson(
            "A string holds half of a surrogate pair: one of \\ud800 to \\udfff on its own."
        ) from error


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_not_json)
