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
_READABLE = "Retry-After, X-Request-ID"  # besides what scripts may always read
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[A-Za-z0-9.:\[\]_-]+")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


class CrossOrigin:
    """Lets every page read the answer, and refuses events of pages that a project does not list.

    The answer to a page that may not send says so. No answer on these paths holds anything that
    depends on who asks, so that none has to be kept from a page.
    """

    def __init__(self, projects: Iterable[Project]) -> None:
        self._origins = {each.name: frozenset(each.browser.origins) for each in projects}

    def add_headers(self, req: falcon.Request, resp: falcon.Response) -> None:
        """To be called before anything can be refused, so that scripts can read refusals too."""
        resp.append_header("Vary", "Origin")
        origin = req.env.get("HTTP_ORIGIN", "")
        if _ORIGIN.fullmatch(origin):
            resp.set_header("Access-Control-Allow-Origin", origin)
            resp.set_header("Access-Control-Allow-Credentials", "true")
            resp.set_header("Access-Control-Expose-Headers", _READABLE)

    def preflight(self, req: falcon.Request, resp: falcon.Response, methods: str) -> None:
        """Allows what is asked for; the request itself is checked when it arrives."""
        self.add_headers(req, resp)
        resp.status = falcon.HTTP_204
        resp.set_header("Access-Control-Allow-Methods", methods)
        resp.set_header("Access-Control-Max-Age", str(_MAX_AGE_SECONDS))
        asked = req.env.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if _HEADER_NAMES.fullmatch(asked):
            resp.append_header("Vary", "Access-Control-Request-Headers")
            resp.set_header("Access-Control-Allow-Headers", asked)

    def check(self, project: Project, origin: str | None) -> None:
        """Raises ForbiddenOrigin for a page that the project does not list.

        A request without an origin comes from no page: apps have none.
        """
        if origin is not None and origin not in self._origins[project.name]:
            raise ForbiddenOrigin
