"""Authorization header → project. Called by the resources before anything else is looked at."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from segmentstream_api.config import Project
from segmentstream_api.errors import Unauthorized


def token_digest(token: str | bytes) -> str:
    """How a token stands in the configuration: `sha256:` and 64 lower-case hex digits."""
    raw = token.encode() if isinstance(token, str) else token
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class Authenticator:
    """Knows every project's tokens by their digests; several are valid at once (rotation)."""

    def __init__(self, projects: Iterable[Project]) -> None:
        self._projects: Mapping[str, Project] = MappingProxyType(
            {digest: project for project in projects for digest in project.tokens}
        )

    def project(self, authorization: str | None) -> Project:
        """The project whose token is the Basic user name; the password is ignored.

        Raises Unauthorized, the same for every cause. Looking up a digest takes no secret
        through a comparison whose time tells how much of it was right.
        Source: RFC 7617 §2 (scheme in any case, user-id ends at the first colon).
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            raise Unauthorized
        try:
            decoded = b64decode(credentials.strip(" "), validate=True)
        except (binascii.Error, ValueError):
            raise Unauthorized from None
        token, colon, _password = decoded.partition(b":")
        project = self._projects.get(token_digest(token)) if colon else None
        if project is None:
            raise Unauthorized
        return project
