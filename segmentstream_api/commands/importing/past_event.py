"""A line of a file → what is posted for it: the same on every run, so that it counts once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from segmentstream_api.contract.strict_json import parse
from segmentstream_api.errors import Refused
from segmentstream_api.http.body import MAX_BODY_BYTES

_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_DIGITS = 32  # of 64: as many as a UUID has


@dataclass(frozen=True, slots=True)
class Past:
    body: bytes


def past_event(line: bytes) -> Past | str:
    """What to post, or why the line is none. Whether it is an event, the service decides.

    A line with a `hitId` is posted as it is. The order of the members makes no other `hitId`.
    """
    if len(line) > MAX_BODY_BYTES:
        return f"has more than {MAX_BODY_BYTES} bytes"
    try:
        document = parse(line)
    except Refused as error:
        return error.detail
    if not isinstance(document, dict):
        return "must be an object"
    if document.get("sentAt") is None:
        return "needs sentAt: without it the event would count as happening now"
    if "hitId" in document:
        return Past(line)
    digest = hashlib.sha256(_SORTED.encode(document).encode()).hexdigest()
    document = {"hitId": f"import-{digest[:_DIGITS]}", **document}
    return Past(json.dumps(document, ensure_ascii=False).encode())
