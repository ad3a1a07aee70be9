"""Compressed bodies → bytes, with a bound on what they inflate to. Called by `body.py`."""

from __future__ import annotations

import zlib

from segmentstream_api.errors import TooLarge, WrongContentEncoding

GZIP = frozenset({"gzip", "x-gzip"})
"""Names of the one coding: RFC 9110, section 8.4.1.3."""

_GZIP_HEADER = 16  # zlib: expect gzip's header and trailer
_UNREADABLE = "The body is not what its Content-Encoding says: it cannot be read as gzip."


def inflated(body: bytes, *, max_bytes: int, too_large_status: int) -> bytes:
    """What the gzip file holds, which may have several members (RFC 1952, section 2.2).

    Never holds more than `max_bytes` of it. Raises TooLarge, or WrongContentEncoding if the body
    is not gzip, ends early or has anything behind its end.
    """
    parts: list[bytes] = []
    left = max_bytes
    while body:
        member = zlib.decompressobj(wbits=_GZIP_HEADER + zlib.MAX_WBITS)
        try:
            part = member.decompress(body, left + 1)
        except zlib.error as error:
            raise WrongContentEncoding(_UNREADABLE) from error
        left -= len(part)
        if left < 0:
            raise TooLarge(
                f"A body may have up to {max_bytes} bytes; it inflates to more.", too_large_status
            )
        if not member.eof:
            raise WrongContentEncoding(_UNREADABLE)
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)
