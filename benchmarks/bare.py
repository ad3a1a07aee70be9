"""The least that could answer: what gunicorn and Falcon cost by themselves."""

from __future__ import annotations

from typing import Any

import falcon


class Track:
    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.status = falcon.HTTP_204


application: falcon.App[Any, Any] = falcon.App()
application.add_route("/track", Track())
