"""The least that could answer: what gunicorn and Falcon cost by themselves.

Anywhere but at /track it is a destination that takes everything, after LATENCY_MS.
"""

from __future__ import annotations

import os
import time
from typing import Any

import falcon

LATENCY_SECONDS = float(os.environ.get("LATENCY_MS") or 0) / 1000


class Track:
    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.status = falcon.HTTP_204


def take(_req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
    time.sleep(LATENCY_SECONDS)
    resp.text = "{}"


application: falcon.App[Any, Any] = falcon.App()
application.add_route("/track", Track())
application.add_sink(take)
