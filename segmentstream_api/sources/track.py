"""The service's own wire: `POST /track`, one document as it is, 204 once it is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segmentstream_api.config import Project
from segmentstream_api.sources.base import BodyRules, Message, Source, SourceRequest


class Track(Source):
    name = "track"
    label = "/track"
    paths = ("/track",)
    # "Max request size is 64kb per call", HTTP API overview
    body = BodyRules(max_bytes=65_536, json_only=True)

    def read(self, document: Any, request: SourceRequest, project: Project) -> Sequence[Message]:
        return (Message(document),)
