"""A name for each request, in its log lines and in its answer."""

from __future__ import annotations

import re
from random import getrandbits

import falcon

from segmentstream_api.logs.entries import request_id

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")  # ours: UUIDs, nginx's 32 digits, trace ids


def new_request_id() -> str:
    """32 hexadecimal digits, as nginx makes them. A name and no secret: no system call for it."""
    return f"{getrandbits(128):032x}"


class RequestIds:
    """Middleware: the proxy's id, if it can be one, or else a new one."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = req.env.get("HTTP_X_REQUEST_ID", "")
        name = given if _WELL_FORMED.fullmatch(given) else new_request_id()
        request_id.set(name)
        resp.set_header(HEADER, name)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: object
    ) -> None:
        """Falcon has called the error handlers by now, so every line is written."""
        request_id.set(None)
