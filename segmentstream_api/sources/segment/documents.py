"""The calls of a request → messages: a document each, or what is wrong with the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from segmentstream_api.errors import Violation
from segmentstream_api.sources.base import Message, SourceRequest
from segmentstream_api.sources.segment.calls import Batch
from segmentstream_api.sources.segment.mapping import (
    context_of,
    event_of,
    integrations_of,
    type_of,
)
from segmentstream_api.sources.segment.moments import happened_at
from segmentstream_api.sources.segment.values import Unusable, hit_id, members, text

MAX_CALL_BYTES = 65_536  # as at /track; Segment's own limit is 32 KB

_HIT_IDS = UUID("0b5d9a0e-3c5f-4f0a-9c62-5e0f4a1c7d3e")
"""Ours: makes a hit id of a call that has none, always the same one."""

_TRANSPORT = frozenset({"sentAt", "_metadata", "writeKey"})
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CANONICAL = json.JSONEncoder(sort_keys=True)


def message(call: Any, batch: Batch, request: SourceRequest, *, names: str) -> Message:
    """The event that the call stands for."""
    if not isinstance(call, dict):
        return Message(None, (Violation("", "must be an object"),))
    client_id = hit_id(call.get("messageId"))
    size = len(_COMPACT.encode(call).encode())
    if size > MAX_CALL_BYTES:
        fault = f"has {size} bytes; up to {MAX_CALL_BYTES} are accepted"
        return Message(None, (Violation("", fault),), client_id)
    try:
        return Message(_document(call, batch, request, names), id=client_id)
    except Unusable as error:
        return Message(None, (error.violation,), client_id)


def _document(
    call: Mapping[str, Any], batch: Batch, request: SourceRequest, names: str
) -> dict[str, Any]:
    defaults = batch.defaults
    kind = type_of(call, defaults.get("type"))
    own = {**defaults.get("context", {}), **members(call, "context")}
    sent_at = text(call.get("sentAt")) or defaults.get("sentAt")
    document = {
        "event": event_of(call, kind, own, names),
        "sentAt": happened_at(
            call,
            sent_at=sent_at,
            received_at=request.received_at,
            is_browser=request.origin is not None,
        ),
        "context": context_of(call, kind, own, _browser(request)),
    }
    optional = {
        "hitId": hit_id(call.get("messageId")) or _derived_hit_id(call, sent_at),
        "integrations": integrations_of(call, defaults.get("integrations", {})),
    }
    return {**document, **{name: value for name, value in optional.items() if value}}


def _derived_hit_id(call: Mapping[str, Any], sent_at: object) -> str | None:
    """The same for a call that is sent again; None where nothing tells it from another one.

    Two calls without any time in them may be two clicks on one button, and one of them would be
    lost as a duplicate of the other.
    """
    times = [call.get("originalTimestamp"), call.get("timestamp"), sent_at]
    moment = next((time for time in times if time), None)
    if moment is None:
        return None
    content = {name: value for name, value in call.items() if name not in _TRANSPORT}
    return str(uuid5(_HIT_IDS, _CANONICAL.encode([content, moment])))


def _browser(request: SourceRequest) -> dict[str, str]:
    """What a browser's request says of the user. A server's says something of the server."""
    if request.origin is None:
        return {}
    said = {"ip": request.peer, "userAgent": request.headers.get("user-agent")}
    return {name: value for name, value in said.items() if value}
