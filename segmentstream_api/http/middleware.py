"""Falcon middleware for every route."""

from __future__ import annotations

import falcon


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
