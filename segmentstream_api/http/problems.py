"""Exceptions → HTTP, in one place. Bodies are RFC 9457 `application/problem+json`."""

from __future__ import annotations

import json
from typing import Any

import falcon

from segmentstream_api.errors import (
    InvalidEvent,
    Refused,
    StoreUnavailable,
    StoreUnusable,
    TooManyRequests,
    Unauthorized,
)
from segmentstream_api.logs.entries import REQUEST_DEFECT, REQUEST_REJECTED, STORE_UNAVAILABLE
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.sources.base import Source

MEDIA_TYPE = "application/problem+json"
_MAX_POINTERS = 5  # in a line of the log; the answer names them all
_HTTP_CODES = {
    falcon.HTTPNotFound: ("not_found", "There is nothing at this path; events go to POST /track."),
    falcon.HTTPMethodNotAllowed: ("method_not_allowed", "The header Allow names the methods."),
}


def add_handlers(app: falcon.App[Any, Any]) -> None:
    """Makes `app` answer every exception with a problem document."""
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(falcon.HTTPError, _http_error)
    app.add_error_handler(StoreUnavailable, _unavailable)
    app.add_error_handler(StoreUnusable, _unavailable)
    app.add_error_handler(Refused, _refused)


def _refused(req: falcon.Request, resp: falcon.Response, error: Refused, _params: object) -> None:
    extra: dict[str, Any] = {}
    pointers: list[str] | None = None
    if isinstance(error, InvalidEvent):
        extra["errors"] = [
            {"pointer": violation.pointer, "detail": violation.detail}
            for violation in error.violations
        ]
        pointers = list(error.places[:_MAX_POINTERS])
    source = getattr(req.context, "source", None)
    if isinstance(error, Unauthorized) and (source is None or source.challenges):
        resp.set_header("WWW-Authenticate", 'Basic realm="SegmentStream"')
    if isinstance(error, TooManyRequests):
        resp.set_header("Retry-After", str(error.retry_after_seconds))
    _answer(req, resp, error.status, error.code, title=error.title, detail=error.detail, **extra)
    status = resp.status_code  # a source may have changed it
    metrics.request(status, error.code, req.uri_template)
    REQUEST_REJECTED(status=status, code=error.code, pointers=pointers)


def _unavailable(
    req: falcon.Request,
    resp: falcon.Response,
    error: StoreUnavailable | StoreUnusable,
    _params: object,
) -> None:
    STORE_UNAVAILABLE(status=503, code="unavailable", reason=error)
    metrics.request(503, "unavailable", req.uri_template)
    seconds = getattr(error, "retry_after_seconds", 30)
    resp.set_header("Retry-After", str(seconds))
    _answer(
        req,
        resp,
        503,
        "unavailable",
        title="The event cannot be stored now",
        detail="Nothing of it was kept. "
        "Send it again, with the same hitId, after Retry-After seconds.",
    )


def _http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object
) -> None:
    status, code, detail = 400, "bad_request", "The request is malformed."
    for kind, (known_code, known_detail) in _HTTP_CODES.items():
        if isinstance(error, kind):
            status, code, detail = error.status_code, known_code, known_detail
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    metrics.request(status, code, req.uri_template)
    REQUEST_REJECTED(status=status, code=code)
    title = falcon.code_to_http_status(status).partition(" ")[2]
    _answer(req, resp, status, code, title=title, detail=detail)


def _unexpected(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: object
) -> None:
    """A defect of ours. Nobody is told its text, which may quote the event."""
    REQUEST_DEFECT(error, status=500, code="internal")
    metrics.request(500, "internal", req.uri_template)
    title, detail = "The service has a defect", "Nothing more can be said here."
    _answer(req, resp, 500, "internal", title=title, detail=detail)


def _answer(
    req: falcon.Request,
    resp: falcon.Response,
    status: int,
    code: str,
    *,
    title: str,
    detail: str,
    **extra: Any,
) -> None:
    """The problem document, as the clients of the request's source need it."""
    problem = {"title": title, "status": status, "detail": detail, "code": code, **extra}
    source: Source | None = getattr(req.context, "source", None)
    if source is not None:
        problem = source.problem(problem)
    resp.status = falcon.code_to_http_status(problem["status"])
    resp.content_type = MEDIA_TYPE
    resp.data = json.dumps(problem, ensure_ascii=False).encode()
