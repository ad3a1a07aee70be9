"""The settings that SDKs fetch before they send anything.

Without them the browser's SDKs send nothing, and mobile SDKs send to the host that they name.
"""

from __future__ import annotations

import re
from typing import Any

from segmentstream_api.sources.base import Answer, SourceRequest

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_NEVER = "1970-01-01T00:00:00.000Z"


def segment_settings(request: SourceRequest) -> Answer:
    """Segment's. `apiHost` replaces what an app was configured with, so it names this service.

    `metrics` switches the SDKs' reports about themselves off.
    """
    key = request.parameters["key"]
    segment: dict[str, Any] = {"apiKey": key, "protocol": request.scheme}
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host):
        segment["apiHost"] = f"{host}/v1"
    return Answer(
        200,
        {
            "integrations": {"Segment.io": segment},
            "plan": {},
            "edgeFunction": {},
            "metrics": {"sampleRate": 0},
        },
    )


def rudder_source_config(request: SourceRequest) -> Answer:
    """RudderStack's, for a source that no device-mode destination is connected to."""
    source = {
        "id": "segmentstream",
        "name": "segmentstream",
        "writeKey": request.query.get("writeKey", ""),
        "config": {
            "statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}
        },
        "enabled": True,
        "workspaceId": "segmentstream",
        "connections": [],
        "destinations": [],
        "dataplanes": {},
    }
    return Answer(200, {"source": source, "updatedAt": _NEVER})
