"""Request stream → JSON document: what a body must be before a schema looks at it.

It takes header values and a stream, not a request, so that any server can stand in front of it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any, Protocol

from segmentstream_api.errors import (
    InvalidJson,
    TooLarge,
    WrongContentEncoding,
    WrongContentType,
    WrongLength,
)

MAX_BODY_BYTES = 65_536  # "Max request size is 64kb per call", HTTP API overview
MAX_DEPTH = 64  # ours: events are about 6 deep, and code behind us may recurse on them safely

_TOO_DEEP = f"Objects and arrays are nested more than {MAX_DEPTH} deep."
_BOM = "\ufeff"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # `token` of RFC 9110, section 5.6.2
_APPLICATION_JSON = re.compile(
    rf'application/json[ \t]*(?:;[ \t]*(?:{_WORD}=(?:{_WORD}|"[^"\\]*")[ \t]*)?)*', re.IGNORECASE
)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class Readable(Protocol):
    """What is needed of a WSGI input stream; it may return less than asked for."""

    def read(self, size: int, /) -> bytes: ...


def read_body(
    stream: Readable,
    *,
    content_type: str | None,
    content_length: str | int | None,
    content_encoding: str | None = None,
    transfer_encoding: str | None = None,
) -> bytes:
    """The whole body: exactly as many bytes as announced, at most `MAX_BODY_BYTES`.

    Raises WrongContentType, WrongContentEncoding, WrongLength or TooLarge. Parameters of the
    content type are accepted and change nothing: JSON is UTF-8 whatever a charset says
    (RFC 8259, sections 8.1 and 11).
    """
    _check_content_type(content_type)
    if content_encoding and content_encoding.lower() != "identity":
        raise WrongContentEncoding("Send the body as it is, without a Content-Encoding.")
    if transfer_encoding:
        raise WrongLength("Send the body in one piece, with Content-Length and not chunked.")
    return _read_exactly(stream, _announced(content_length))


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


def _check_content_type(content_type: str | None) -> None:
    if not content_type:
        raise WrongContentType("Send the header 'Content-Type: application/json'; found none.")
    if content_type != "application/json" and not _APPLICATION_JSON.fullmatch(content_type):
        raise WrongContentType(
            f"Send the header 'Content-Type: application/json'; found {content_type[:60]!a}."
        )


def _announced(content_length: str | int | None) -> int:
    digits = "" if content_length is None else str(content_length)
    if not digits:
        raise WrongLength("Send the header Content-Length, the number of bytes of the body.")
    if not (digits.isascii() and digits.isdigit()):
        raise WrongLength("Content-Length must be a decimal number, the bytes of the body.")
    digits = digits.lstrip("0") or "0"
    # Digits are counted first because int() refuses more than 4300 of them.
    if len(digits) > len(str(MAX_BODY_BYTES)) or int(digits) > MAX_BODY_BYTES:
        raise TooLarge(f"A body may have up to {MAX_BODY_BYTES} bytes; more were announced.")
    return int(digits)


def _read_exactly(stream: Readable, size: int) -> bytes:
    """Never a part of an event: a client that stops half-way is told so."""
    body = bytearray()
    try:
        while len(body) < size and (chunk := stream.read(size - len(body))):
            body += chunk
    except OSError as error:
        raise WrongLength(f"The body broke off: {len(body)} of {size} bytes came.") from error
    if len(body) != size:
        raise WrongLength(f"The body ended early: {len(body)} of {size} bytes came.")
    return bytes(body)


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
