"""One responder for every source: the path of a request, in the order of the contract."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import falcon

from segmentstream_api.config import Project
from segmentstream_api.contract.strict_json import parse
from segmentstream_api.errors import Unauthorized
from segmentstream_api.http.auth import Authenticator
from segmentstream_api.http.cors import CrossOrigin
from segmentstream_api.http.peer import Peers
from segmentstream_api.http.rate_limit import RateLimits
from segmentstream_api.http.source_body import read_source_body
from segmentstream_api.intake.reception import Reception
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.sources.base import Answer, Key, Source, SourceRequest


class Gate:
    """Who may send through a source, and how often."""

    def __init__(
        self,
        authenticator: Authenticator,
        cross_origin: CrossOrigin,
        rate_limits: RateLimits,
        peers: Peers,
    ) -> None:
        self._authenticator = authenticator
        self.cross_origin = cross_origin
        self._rate_limits = rate_limits
        self.peers = peers

    def project(self, source: Source, key: Key | None, request: SourceRequest) -> Project:
        """Raises Unauthorized, UnknownProject, ForbiddenOrigin or TooManyRequests."""
        if key is None:
            raise Unauthorized
        access = self._authenticator.access(key, public=not source.is_server_only(request))
        if access.browser:
            self.cross_origin.check(access.project, request.origin)
            self._rate_limits.admit(request.peer, access.project.name)
        return access.project


class SourceResource:
    """POST to a path of a source."""

    def __init__(
        self,
        source: Source,
        gate: Gate,
        reception: Reception,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._gate = gate
        self._reception = reception
        self._clock = clock

    def on_post(self, req: falcon.Request, resp: falcon.Response, **parameters: str) -> None:
        source = self._source
        req.context.source = source
        request = source_request(req, parameters, self._gate.peers, self._clock())
        key = source.key(request)
        if key is not None or not source.key_in_body:
            project = self._gate.project(source, key, request)
        document = parse(read_source_body(req.env, source.body))
        if key is None and source.key_in_body:
            project = self._gate.project(source, source.key_in(request, document), request)
        messages = source.read(document, request, project)
        results = self._reception.take(
            source, project.name, messages, received_at=request.received_at
        )
        respond(resp, source.answer(results, request))
        metrics.request(int(resp.status_code), path=req.uri_template)


class PublicSourceResource(SourceResource):
    """The same for a source that web pages may call from other origins."""

    def on_options(self, req: falcon.Request, resp: falcon.Response, **_: str) -> None:
        self._gate.cross_origin.preflight(req, resp, "POST")

    def on_post(self, req: falcon.Request, resp: falcon.Response, **parameters: str) -> None:
        self._gate.cross_origin.add_headers(req, resp)
        super().on_post(req, resp, **parameters)


class SourceDocument:
    """GET of a document that a source's clients want before they send: their settings."""

    def __init__(self, source: Source, make: Callable[[SourceRequest], Answer], gate: Gate) -> None:
        self._source = source
        self._make = make
        self._gate = gate

    def on_options(self, req: falcon.Request, resp: falcon.Response, **_: str) -> None:
        self._gate.cross_origin.preflight(req, resp, "GET")

    def on_get(self, req: falcon.Request, resp: falcon.Response, **parameters: str) -> None:
        self._gate.cross_origin.add_headers(req, resp)
        req.context.source = self._source
        request = source_request(req, parameters, self._gate.peers, 0.0)
        self._gate.project(self._source, self._source.key(request), request)
        respond(resp, self._make(request))
        resp.set_header("Cache-Control", "no-store")


class Discarded:
    """POST of what nobody needs: a client's telemetry. It is answered before it is read."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def on_options(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._gate.cross_origin.preflight(req, resp, "POST")

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._gate.cross_origin.add_headers(req, resp)
        respond(resp, Answer(200, {"success": True}))


def source_routes(source: Source, gate: Gate, reception: Reception) -> Iterator[tuple[str, Any]]:
    """Route template and resource of all that the source answers."""
    responder = PublicSourceResource if source.public else SourceResource
    resource = responder(source, gate, reception)
    for path in source.paths:
        yield path, resource
    for path in source.discarded:
        yield path, Discarded(gate)
    for path, make in source.documents.items():
        yield path, SourceDocument(source, make, gate)


def respond(resp: falcon.Response, answer: Answer) -> None:
    resp.status = falcon.code_to_http_status(answer.status)
    if answer.body is not None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = json.dumps(answer.body, ensure_ascii=False).encode()


def source_request(
    req: falcon.Request, parameters: Mapping[str, str], peers: Peers, received_at: float
) -> SourceRequest:
    return SourceRequest(
        path=req.uri_template or "",
        parameters=parameters,
        query=_query(req.env.get("QUERY_STRING", "")),
        headers=_Headers(req.env),
        scheme="https" if "https" in _schemes(req.env) else "http",
        peer=peers.address(req.env),
        received_at=received_at,
    )


def _schemes(environ: Mapping[str, Any]) -> tuple[str, str | None]:
    """What the client used, as a proxy says, and as it arrived here."""
    return environ["wsgi.url_scheme"], environ.get("HTTP_X_FORWARDED_PROTO")


def _query(text: str) -> Mapping[str, str]:
    """The first value of each name."""
    return dict(reversed(parse_qsl(text))) if text else {}


class _Headers(Mapping[str, str]):
    """The headers of a WSGI environment by their names in lower case."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ["HTTP_" + name.upper().replace("-", "_")]
        return value

    def __iter__(self) -> Iterator[str]:
        for name in self._environ:
            if name.startswith("HTTP_"):
                yield name[5:].replace("_", "-").lower()

    def __len__(self) -> int:
        return sum(1 for _ in self)
