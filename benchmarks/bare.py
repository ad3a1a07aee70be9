"""The least that could answer: what gunicorn and Falcon cost by themselves.

Anywhere but at /track it is a destination that takes everything.
"""

from __future__ import annotations

from typing import Any

import falcon


class Track:
    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.status = falcon.HTTP_204


def take(_req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
    resp.text = "{}"


application: falcon.App[Any, Any] = falcon.App()
application.add_route("/track", Track())
application.add_sink(take)
