"""Reads the body of a request to a source, by the source's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.errors import TooLarge, WrongContentEncoding, WrongLength
from segmentstream_api.http.body import read_body
from segmentstream_api.http.inflate import GZIP, inflated
from segmentstream_api.sources.base import BodyRules


def read_source_body(environ: Mapping[str, Any], rules: BodyRules) -> bytes:
    """The whole body of a WSGI request, inflated if the rules allow it to be compressed.

    What is compressed counts against the limit twice: as it comes, and inflated. Raises
    WrongContentType, WrongContentEncoding, WrongLength or TooLarge.
    """
    if rules.json_only:
        return read_body(
            environ["wsgi.input"],
            content_type=environ.get("CONTENT_TYPE"),
            content_length=environ.get("CONTENT_LENGTH"),
            content_encoding=environ.get("HTTP_CONTENT_ENCODING"),
            chunked=bool(environ.get("HTTP_TRANSFER_ENCODING")),
        )
    encoding = (environ.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower()
    if encoding != "identity" and not (rules.compressed and encoding in GZIP):
        allowed = "as it is or as gzip" if rules.compressed else "as it is"
        raise WrongContentEncoding(f"Send the body {allowed}; its Content-Encoding is another.")
    body = _read(environ, rules)
    if encoding == "identity":
        return body
    return inflated(body, max_bytes=rules.max_bytes, too_large_status=rules.too_large_status)


def _read(environ: Mapping[str, Any], rules: BodyRules) -> bytes:
    """As many bytes as announced; of a chunked body all, since the server knows its end."""
    announced = None
    if not environ.get("HTTP_TRANSFER_ENCODING"):
        announced = _announced(str(environ.get("CONTENT_LENGTH") or ""))
        if announced > rules.max_bytes:
            raise _too_large(rules)
    most = rules.max_bytes + 1 if announced is None else announced
    body = bytearray()
    try:
        while len(body) < most and (part := environ["wsgi.input"].read(most - len(body))):
            body += part
    except Exception as error:
        raise WrongLength(f"The body broke off: {len(body)} bytes came.") from error
    if len(body) > rules.max_bytes:
        raise _too_large(rules)
    if announced is not None and len(body) != announced:
        raise WrongLength(f"The body ended early: {len(body)} of {announced} bytes came.")
    return bytes(body)


def _announced(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()):
        raise WrongLength("Send the header Content-Length, the bytes of the body, or chunks.")
    return int(digits[-20:]) if not digits[:-20].strip("0") else 10**20


def _too_large(rules: BodyRules) -> TooLarge:
    detail = f"A body may have up to {rules.max_bytes} bytes; there are more."
    return TooLarge(detail, rules.too_large_status)
