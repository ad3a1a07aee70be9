"""The wire of Segment, RudderStack and Jitsu as a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar

from segmentstream_api.config import Project
from segmentstream_api.sources.base import (
    Answer,
    BodyRules,
    Key,
    Message,
    Result,
    Source,
    SourceRequest,
    basic_user_name,
)
from segmentstream_api.sources.segment.answers import answer, problem
from segmentstream_api.sources.segment.calls import TYPES, calls_in, is_batch, write_keys
from segmentstream_api.sources.segment.documents import message
from segmentstream_api.sources.segment.settings import rudder_source_config, segment_settings

_SERVER_ONLY = "/v1/import"
_SETTINGS = ("/v1/projects/{key}/settings", "/projects/{key}/settings")
_SOURCE_CONFIG = "/sourceConfig"


def _with_and_without_slash(*paths: str) -> tuple[str, ...]:
    """SDKs in Java end their paths with a slash. A redirect would count as delivered for some."""
    return tuple(chain.from_iterable((path, f"{path}/") for path in paths))


class Segment(Source):
    name = "segment"
    label = "/v1"
    paths = _with_and_without_slash(
        "/v1/batch",
        "/v1/b",
        _SERVER_ONLY,
        "/beacon/v1/batch",
        *(f"/v1/{name}" for name in TYPES),
        *(f"/v1/{name[0]}" for name in TYPES),
        *(f"/api/s/{name}" for name in TYPES),
    )
    discarded = _with_and_without_slash("/v1/m")
    # SDKs fill their batches up to 512,000 bytes; the largest that one of them sends has 524,288.
    body = BodyRules(max_bytes=1_048_576, compressed=True, too_large_status=413)
    public = True
    key_in_body = True
    challenges = False
    documents: ClassVar[Mapping[str, Callable[[SourceRequest], Answer]]] = MappingProxyType(
        {
            **dict.fromkeys(_with_and_without_slash(*_SETTINGS), segment_settings),
            **dict.fromkeys(_with_and_without_slash(_SOURCE_CONFIG), rudder_source_config),
        }
    )

    def key(self, request: SourceRequest) -> Key | None:
        """Basic's user name, Jitsu's header, or what the path of settings says.

        Jitsu's keys have two halves, `key:secret`; the first one is the token.
        """
        jitsu = request.headers.get("x-write-key", "").partition(":")[0]
        found = (
            basic_user_name(request.headers.get("authorization"))
            or jitsu
            or request.parameters.get("key")
        )
        if not found and request.path.rstrip("/") == _SOURCE_CONFIG:
            found = request.query.get("writeKey")
        return Key(found) if found else None

    def key_in(self, request: SourceRequest, document: Any) -> Key | None:
        found = next(write_keys(document), None) or request.query.get("writeKey")
        return Key(found) if found else None

    def is_server_only(self, request: SourceRequest) -> bool:
        return request.path.rstrip("/") == _SERVER_ONLY

    def read(self, document: Any, request: SourceRequest, project: Project) -> Sequence[Message]:
        batch = calls_in(document, request)
        return [message(call, batch, request, names=project.segment_names) for call in batch.calls]

    def answer(self, results: Sequence[Result], request: SourceRequest) -> Answer:
        return answer(results, is_single=not is_batch(request))

    def problem(self, document: dict[str, Any]) -> dict[str, Any]:
        return problem(document)
