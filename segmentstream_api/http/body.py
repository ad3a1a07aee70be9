"""Request stream → JSON document: what a body must be before a schema looks at it.

It takes header values and a stream, not a request, so that any server can stand in front of it.
"""

from __future__ import annotations

import re
from typing import Protocol

from segmentstream_api.errors import (
    TooLarge,
    WrongContentEncoding,
    WrongContentType,
    WrongLength,
)

MAX_BODY_BYTES = 65_536  # "Max request size is 64kb per call", HTTP API overview

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # `token` of RFC 9110, section 5.6.2
_APPLICATION_JSON = re.compile(
    rf'application/json[ \t]*(?:;[ \t]*(?:{_WORD}=(?:{_WORD}|"[^"\\]*")[ \t]*)?)*', re.IGNORECASE
)


class Readable(Protocol):
    """What is needed of a WSGI input stream; it may return less than asked for."""

    def read(self, size: int, /) -> bytes: ...


def read_body(
    stream: Readable,
    *,
    content_type: str | None,
    content_length: str | int | None,
    content_encoding: str | None = None,
    chunked: bool = False,
) -> bytes:
    """The whole body: exactly as many bytes as announced, or all chunks; at most `MAX_BODY_BYTES`.

    Raises WrongContentType, WrongContentEncoding, WrongLength or TooLarge. Parameters of the
    content type are accepted and change nothing: JSON is UTF-8 whatever a charset says
    (RFC 8259, sections 8.1 and 11).
    """
    _check_content_type(content_type)
    if content_encoding and content_encoding.lower() != "identity":
        raise WrongContentEncoding("Send the body as it is, without a Content-Encoding.")
    if chunked:
        return _read_chunks(stream)
    return _read_exactly(stream, _announced(content_length))


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
        raise WrongLength(
            "Send the header Content-Length, the number of bytes of the body, or send chunks."
        )
    if not (digits.isascii() and digits.isdigit()):
        raise WrongLength("Content-Length must be a decimal number, the bytes of the body.")
    digits = digits.lstrip("0") or "0"
    # Digits are counted first because int() refuses more than 4300 of them.
    if len(digits) > len(str(MAX_BODY_BYTES)) or int(digits) > MAX_BODY_BYTES:
        raise TooLarge(f"A body may have up to {MAX_BODY_BYTES} bytes; more were announced.")
    return int(digits)


def _read_exactly(stream: Readable, size: int) -> bytes:
    """Reads exactly `size` bytes; raises WrongLength if the client disconnects early."""
    body = bytearray()
    try:
        while len(body) < size and (chunk := stream.read(size - len(body))):
            body += chunk
    except OSError as error:
        raise WrongLength(f"The body broke off: {len(body)} of {size} bytes came.") from error
    if len(body) != size:
        raise WrongLength(f"The body ended early: {len(body)} of {size} bytes came.")
    return bytes(body)


def _read_chunks(stream: Readable) -> bytes:
    """Reads to the end of a chunked body; the server in front removes the chunks' framing.

    Raises TooLarge beyond the limit, without reading the rest, and WrongLength if the last chunk
    is missing, for which servers raise exceptions of their own.
    """
    body = bytearray()
    try:
        while len(body) <= MAX_BODY_BYTES and (part := stream.read(MAX_BODY_BYTES + 1 - len(body))):
            body += part
    except Exception as error:
        raise WrongLength(f"The body broke off: {len(body)} bytes came.") from error
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"A body may have up to {MAX_BODY_BYTES} bytes; there are more.")
    return bytes(body)
