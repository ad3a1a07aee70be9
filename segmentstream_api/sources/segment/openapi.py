"""The paths of this source for the OpenAPI description. What a call holds is Segment's affair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.sources.segment.calls import MAX_CALLS, TYPES

_PROBLEM = {
    "application/problem+json": {
        "schema": {
            "allOf": [
                {"$ref": "#/components/schemas/problem"},
                {
                    "type": "object",
                    "required": ["message", "error"],
                    "properties": {"message": {"type": "string"}, "error": {"type": "string"}},
                },
            ]
        }
    }
}
_REFUSALS = {
    "400": "The body is no JSON or no batch, or none of its calls can be used.",
    "401": "An unknown write key, or a web page whose origin is not listed.",
    "413": "The body or the batch is too large.",
    "429": "Too many requests with a browser token. Send again after `Retry-After` seconds.",
    "503": "Nothing of it was kept. Send the same calls again after `Retry-After` seconds.",
}
_TAKEN = {
    "type": "object",
    "required": ["success"],
    "properties": {
        "success": {"const": True},
        "rejected": {
            "description": "The calls that were refused; the others are safe.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "messageId", "errors"],
                "properties": {
                    "index": {"description": "Its place in the batch.", "type": "integer"},
                    "messageId": {"type": ["string", "null"]},
                    "errors": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["pointer", "detail"],
                            "properties": {
                                "pointer": {"type": "string"},
                                "detail": {"type": "string"},
                            },
                        },
                    },
                },
            },
        },
    },
}
_CALL = {
    "type": "object",
    "properties": {
        "type": {"enum": list(TYPES)},
        "messageId": {"description": "Becomes the hit id.", "type": "string"},
        "userId": {"type": ["string", "number", "null"]},
        "anonymousId": {"type": ["string", "number", "null"]},
        "timestamp": {"description": "ISO 8601.", "type": "string"},
    },
}
_BATCH = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "maxItems": MAX_CALLS, "items": _CALL},
        "writeKey": {"description": "Where Basic is not used.", "type": "string"},
        "sentAt": {"type": "string"},
    },
}


def paths() -> Mapping[str, Any]:
    """One path for each kind of request; docs/sources.md names those that mean the same."""
    return {
        "/v1/batch": {"post": _operation("segmentBatch", "Take a batch of Segment's SDKs", _BATCH)},
        **{
            f"/v1/{name}": {
                "post": _operation(
                    f"segment{name.capitalize()}",
                    f"Take one {name} call of an SDK of Segment",
                    _CALL,
                )
            }
            for name in TYPES
        },
    }


def _operation(name: str, summary: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "description": "At most 1,048,576 bytes of JSON, inflated if it came as gzip, and 65,536 "
        "for each call, whatever the content type. The write key, an API or browser token, is "
        "the user name of Basic authentication or `writeKey` in the body.",
        "security": [{"token": []}, {}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {
                "description": "All calls are safe but those named in `rejected`.",
                "content": {"application/json": {"schema": _TAKEN}},
            },
            **{
                status: {"description": meaning, "content": _PROBLEM}
                for status, meaning in _REFUSALS.items()
            },
        },
    }
