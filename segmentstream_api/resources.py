"""Falcon resources: thin. Each reads as the part of the contract that it answers for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import falcon

from segmentstream_api import metrics
from segmentstream_api.auth import Authenticator
from segmentstream_api.body import parse, read_body
from segmentstream_api.event import new_event
from segmentstream_api.event_types.rules import EventTypes
from segmentstream_api.intake import Intake
from segmentstream_api.schemas import Contract


class Track:
    """`POST /track`: one event in, 204 out, once it is safe.

    `event_types` are by the project's name.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        contract: Contract,
        event_types: Mapping[str, EventTypes],
        intake: Intake,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authenticator = authenticator
        self._contract = contract
        self._event_types = event_types
        self._intake = intake
        self._clock = clock

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        project = self._authenticator.project(req.env.get("HTTP_AUTHORIZATION"))
        document = parse(
            read_body(
                req.env["wsgi.input"],
                content_type=req.env.get("CONTENT_TYPE"),
                content_length=req.env.get("CONTENT_LENGTH"),
                content_encoding=req.env.get("HTTP_CONTENT_ENCODING"),
                transfer_encoding=req.env.get("HTTP_TRANSFER_ENCODING"),
            )
        )
        self._contract.check(document)
        violations = self._event_types[project.name].check(document)
        event = new_event(project.name, document, received_at=self._clock(), violations=violations)
        self._intake.take(event)
        resp.status = falcon.HTTP_204
        metrics.request(204)


class AllowedMethods:
    """Middleware: whatever a resource does not answer gets 405 with `Allow`.

    Falcon would answer OPTIONS by itself, and a method that it never heard of with 400.
    """

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: object
    ) -> None:
        if not hasattr(resource, f"on_{req.method.lower()}"):
            raise falcon.HTTPMethodNotAllowed(
                [
                    method
                    for method in falcon.HTTP_METHODS
                    if hasattr(resource, f"on_{method.lower()}")
                ]
            )
