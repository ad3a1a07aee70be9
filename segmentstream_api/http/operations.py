"""What machines of the operator ask, without a token: /metrics, /health, /ready and /version.

They are for those behind the proxy, which does not pass them on; still they hold no name but
those of destinations and event types, and no text from the store or its configuration.
"""

from __future__ import annotations

import platform

import falcon

from segmentstream_api.monitoring.exposition import Exposition
from segmentstream_api.monitoring.readiness import FINDINGS, Readiness
from segmentstream_api.version import package_version

_NEVER_KEPT = "no-store"


class Health:
    """The process answers: nothing more is looked at."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_header("Cache-Control", _NEVER_KEPT)
        resp.media = {"status": "ok"}

    on_head = on_get  # Falcon leaves the content out and says how long it would be


class Ready:
    """200 if events can be taken, 503 with the reasons if not."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        findings = self._readiness.findings()
        resp.set_header("Cache-Control", _NEVER_KEPT)
        resp.status = falcon.HTTP_503 if findings else falcon.HTTP_200
        resp.media = {
            "status": "not_ready" if findings else "ready",
            "findings": [{"id": finding, "detail": FINDINGS[finding]} for finding in findings],
        }

    on_head = on_get  # as above


class Version:
    def __init__(self, store_kind: str) -> None:
        self._media = {
            "name": "segmentstream-api",
            "version": package_version(),
            "python": platform.python_version(),
            "store": store_kind,
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_header("Cache-Control", _NEVER_KEPT)
        resp.media = self._media

    on_head = on_get  # as above


class Metrics:
    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_header("Cache-Control", _NEVER_KEPT)
        resp.data, resp.content_type = self._exposition.page(req.get_header("Accept"))

    on_head = on_get  # as above
