"""gunicorn's threaded worker, answering what is not even HTTP as the contract answers: 400."""

from __future__ import annotations

import json
import socket
from typing import Any

from gunicorn.http import errors as http
from gunicorn.workers.gthread import ThreadWorker

from segmentstream_api.http.request_id import new_request_id
from segmentstream_api.logs.entries import NOT_HTTP
from segmentstream_api.metrics import declared as metrics

_NOT_HTTP = (
    http.ParseException,
    http.InvalidChunkSize,
    http.ChunkMissingTerminator,
    http.InvalidChunkExtension,
)
_BODY = json.dumps(
    {
        "title": "The request is not valid HTTP",
        "status": 400,
        "detail": "The request line, a header or the framing of the body is malformed or too long.",
        "code": "bad_request",
    }
).encode()
_HEAD = (
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nX-Request-ID: {request_id}\r\n"
    f"Content-Type: application/problem+json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
)


class Worker(ThreadWorker):
    """Used by `gunicorn.conf.py`."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """gunicorn would answer in HTML, and some faults of the client with 5xx."""
        if not isinstance(exc, _NOT_HTTP):
            super().handle_error(req, client, addr, exc)
            return
        request_id = new_request_id()
        metrics.request(400, "bad_request", path=None)
        # Only the kind: the malformed line itself may be an Authorization header.
        NOT_HTTP(status=400, code="bad_request", reason=type(exc).__name__, request_id=request_id)
        try:
            client.sendall(_HEAD.format(request_id=request_id).encode() + _BODY)
        except OSError:
            self.log.debug("the client did not wait for its answer")
