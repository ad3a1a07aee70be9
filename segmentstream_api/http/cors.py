"""Which web pages may call the service (CORS), and what their browsers are told.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import falcon

from segmentstream_api.config import Project
from segmentstream_api.errors import ForbiddenOrigin

_MAX_AGE_SECONDS = 7200  # the longest that Chromium keeps an answer
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


class CrossOrigin:
    """Knows every project's origins. A preflight does not say which project it is for."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self._known = frozenset(
            origin for project in projects for origin in project.browser.origins
        )

    def add_headers(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set before anything can go wrong, so that scripts can read refusals as well."""
        resp.append_header("Vary", "Origin")
        origin = req.env.get("HTTP_ORIGIN")
        if origin in self._known:
            resp.set_header("Access-Control-Allow-Origin", origin)
            resp.set_header("Access-Control-Allow-Credentials", "true")

    def preflight(self, req: falcon.Request, resp: falcon.Response, methods: str) -> None:
        self.add_headers(req, resp)
        resp.status = falcon.HTTP_204
        resp.set_header("Access-Control-Allow-Methods", methods)
        resp.set_header("Access-Control-Max-Age", str(_MAX_AGE_SECONDS))
        asked = req.env.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if _HEADER_NAMES.fullmatch(asked):
            resp.set_header("Access-Control-Allow-Headers", asked)

    def check(self, project: Project, origin: str | None) -> None:
        """Raises ForbiddenOrigin for a page that the project does not list.

        A request without an origin comes from no page: apps have none.
        """
        if origin is not None and origin not in project.browser.origins:
            raise ForbiddenOrigin
