"""`POST /collect`: one hit of SegmentStream's JavaScript SDK, 204 once it is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segmentstream_api.config import Project
from segmentstream_api.errors import UnknownProject, Violation
from segmentstream_api.sources.base import BodyRules, Key, Message, Source, SourceRequest
from segmentstream_api.sources.collect.document import document_of
from segmentstream_api.sources.collect.leniency import is_unavoidable

_MAX_BODY_BYTES = 262_144  # ours: the SDK never splits, and an order of 500 lines has 220 KB


class Collect(Source):
    """The body's `projectId` names the project, or the path for SDKs configured without one."""

    name = "collect"
    label = "/collect"
    paths = ("/collect", "/collect/{key}")
    body = BodyRules(max_bytes=_MAX_BODY_BYTES, too_large_status=413)
    key_in_body = True
    public = True
    challenges = False  # at a challenge, browsers hold the request back and ask for a password

    def key(self, request: SourceRequest) -> Key | None:
        project_id = request.parameters.get("key")
        return None if project_id is None else Key(project_id, "project_id")

    def key_in(self, request: SourceRequest, document: Any) -> Key:
        project_id = document.get("projectId") if isinstance(document, dict) else None
        if not isinstance(project_id, str):
            raise UnknownProject
        return Key(project_id, "project_id")

    def read(self, document: Any, request: SourceRequest, project: Project) -> Sequence[Message]:
        return (Message(document_of(document, request)),)

    def overlooks(self, event_name: str, violation: Violation) -> bool:
        return is_unavoidable(event_name, violation)
