"""What the service tells about itself: the schemas, the OpenAPI description, the page `/docs`.

All of it is read when the application is made; a path that is not known then is not found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import falcon

from segmentstream_api.http.openapi import openapi_document

STATIC = Path(__file__).parent / "static"
_OPERATORS = frozenset({"config.json", "log.json"})  # not part of what clients need
_PAGE = "docs.html"
_SCHEMA_TYPE = "application/schema+json"  # JSON Schema 2020-12 core, section 14
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # kept, but asked for again: the service may have been updated
    "X-Content-Type-Options": "nosniff",
    # Swagger UI sets styles on its elements and carries its icons in data: URLs.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}


class File:
    """`GET` and `HEAD` of content that stays the same while the service runs."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content = content
        self.media_type = media_type
        self._etag = falcon.ETag(sha256(content).hexdigest())

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_headers(_HEADERS)
        resp.etag = self._etag
        if any(known in {"*", self._etag} for known in req.if_none_match or ()):
            resp.status = falcon.HTTP_304
            return
        resp.content_type = self.media_type
        resp.data = self.content

    on_head = on_get  # Falcon leaves the content out and says how long it would be


def reference_files(schemas: Path) -> Iterator[tuple[str, File]]:
    """Each path and what is there, for the schemas in that folder."""
    contents = {name: (schemas / name).read_bytes() for name in public_schemas(schemas)}
    for name, content in contents.items():
        yield f"/schemas/{name}", File(content, _SCHEMA_TYPE)
    description = openapi_document(
        {name: json.loads(content) for name, content in contents.items()}
    )
    yield (
        "/openapi.json",
        File(json.dumps(description, ensure_ascii=False).encode(), "application/json"),
    )
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            name = path.relative_to(STATIC).as_posix()
            route = "/docs" if name == _PAGE else f"/docs/{name}"
            media_type = _TYPES.get(path.suffix, "text/plain; charset=utf-8")
            yield route, File(path.read_bytes(), media_type)


def public_schemas(folder: Path) -> list[str]:
    """The schemas that clients keep to, as paths within their folder."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.json"))]
    return [name for name in names if name not in _OPERATORS]
