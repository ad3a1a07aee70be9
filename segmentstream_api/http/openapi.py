"""The OpenAPI description of the service, made from the schema files; `reference` publishes it.

Fields, examples and problem codes stand in the schemas alone. What is written here is what no
schema can say: the operation, its authentication and what a client should do about each status.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urldefrag, urljoin

from segmentstream_api.contract.event_types.subschemas import subschemas
from segmentstream_api.http.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from segmentstream_api.http.request_id import HEADER
from segmentstream_api.sources.segment import openapi as segment
from segmentstream_api.version import package_version

_MEANINGS = {
    400: "The request or the event is wrong: `code` says in which way, `errors` where and what is "
    "allowed. Final: the same request will be refused again.",
    401: "No valid API token. One answer for every cause, before anything else is looked at.",
    404: "Another path than those described here.",
    405: "Another method than those described here.",
    500: "A defect of the service. Send the event again, with the same `hitId`.",
    503: "The event cannot be stored now and nothing of it was kept. Send it again, with the same "
    "`hitId`, after `Retry-After` seconds.",
}
_COLLECT_MEANINGS = {
    400: "The body is not JSON, or the hit is wrong: `code` says in which way.",
    403: "`origin`: the project does not list the page's origin. `unknown_project`: no project "
    "with this id is open to browsers.",
    413: "The body is too large.",
    429: "The address or the project sends too much. Wait for `Retry-After` seconds.",
    503: _MEANINGS[503],
}
_HIT = (
    '{"event":{"name":"Viewed Page","page":{"type":"home"}},"projectId":"p-demo-1",'
    '"anonymousId":"80ddb140-35c6-11e9-bd56-eb1c05e6de18","sentAt":"2019-02-21T10:56:10.723Z"}'
)
_REQUEST_ID = {
    HEADER: ("What the log calls this request: the proxy's name for it.", {"type": "string"})
}
_HEADERS: dict[int, dict[str, tuple[str, dict[str, Any]]]] = {
    401: {
        "WWW-Authenticate": (
            "The scheme to use.",
            {"type": "string", "const": 'Basic realm="SegmentStream"'},
        )
    },
    405: {"Allow": ("The methods that this path has, with commas.", {"type": "string"})},
    429: {"Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1})},
    503: {"Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1})},
}


def openapi_document(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """OpenAPI 3.1 made of the public schemas, by their paths such as `events/viewed-cart.json`.

    Raises KeyError for an example of a problem whose status is not explained here.
    """
    track, problem = schemas["track.json"], schemas["problem.json"]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "SegmentStream HTTP Tracking API",
            "version": package_version(),
            "summary": "Post an event; 204 means that it is safe.",
            "description": "`components.schemas` also holds the event types, `events.…`, and what "
            "they share, `objects.…`. They say what an event of a name should hold. Whether one "
            "that breaks its type is refused, or accepted and reported, each project decides.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"token": []}],
        "paths": {
            "/track": {"post": _track(track, problem)},
            "/collect": {"post": _collect()},
            **segment.paths(),
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The API token is the user name. The password is ignored.",
                }
            },
            "schemas": {_component(path): _within(schema) for path, schema in schemas.items()},
        },
    }


def _component(path: str) -> str:
    return path.removesuffix(".json").replace("/", ".")


def _within(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as a part of the document, in which references lead to other parts.

    Without references it stays as it is. With them it loses its `$id`, from which they would
    be counted: generators that do not know `$id` shall find their way, too.
    """
    own = copy.deepcopy(dict(schema))
    referring = [each for _, each in subschemas(own) if "$ref" in each]
    for each in referring:
        uri, fragment = urldefrag(urljoin(schema["$id"], each["$ref"]))
        part = _component(uri.removeprefix("/schemas/"))
        each["$ref"] = f"#/components/schemas/{part}{fragment}"
    if referring:
        del own["$id"], own["$schema"]
    return own


def _track(track: Mapping[str, Any], problem: Mapping[str, Any]) -> dict[str, Any]:
    by_status: dict[int, list[Mapping[str, Any]]] = {}
    for example in problem["examples"]:
        by_status.setdefault(example["status"], []).append(example)
    return {
        "operationId": "track",
        "summary": "Take one event",
        "description": "At most 65,536 bytes of strict JSON, sent with `Content-Length` or in "
        "chunks, uncompressed. An event whose `hitId` was seen within the deduplication window "
        "gets 204 as well and is delivered once.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/track"},
                    "examples": _named(
                        (example["event"].get("name", "An event"), example)
                        for example in track["examples"]
                    ),
                }
            },
        },
        "responses": {
            "204": {
                "description": "The event is safe: it was on disk before this answer.",
                "headers": _headers(204),
            },
            **{
                str(status): _refusal(status, examples)
                for status, examples in sorted(by_status.items())
            },
        },
    }


def _collect() -> dict[str, Any]:
    """Written by hand: what SegmentStream's SDK sends is its own affair and has no schema."""
    problem = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/problem"}}}
    return {
        "operationId": "collect",
        "summary": "Take one hit of the JavaScript SDK",
        "description": "At most 262,144 bytes of JSON, whatever the content type. `projectId` "
        "names a project that is open to the page's origin; for hits without one, it is the last "
        "part of the path: `/collect/{project_id}`. Every answer has CORS headers.",
        "security": [],
        "requestBody": {
            "required": True,
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _HIT}},
        },
        "responses": {
            "204": {
                "description": "The event is safe: it was on disk before this answer.",
                "headers": _headers(204),
            },
            **{
                str(status): {"description": meaning, "headers": _headers(status)}
                | {"content": problem}
                for status, meaning in _COLLECT_MEANINGS.items()
            },
        },
    }


def _refusal(status: int, examples: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/problem"},
        "examples": _named((example["code"], example) for example in examples),
    }
    return {
        "description": _MEANINGS[status],
        "headers": _headers(status),
        "content": {PROBLEM_MEDIA_TYPE: content},
    }


def _headers(status: int) -> dict[str, Any]:
    return {
        name: {"description": description, "required": True, "schema": schema}
        for name, (description, schema) in (_REQUEST_ID | _HEADERS.get(status, {})).items()
    }


def _named(examples: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        f"{number}-{name.lower().replace(' ', '-')}": {"summary": name, "value": example}
        for number, (name, example) in enumerate(examples, 1)
    }
