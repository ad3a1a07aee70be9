"""Keys → projects. Called by the resources before anything else is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from segmentstream_api.config import Project
from segmentstream_api.errors import Unauthorized, UnknownProject
from segmentstream_api.sources.base import Key, basic_user_name


def token_digest(token: str | bytes) -> str:
    """How a token stands in the configuration: `sha256:` and 64 lower-case hex digits."""
    raw = token.encode("utf-8", "surrogateescape") if isinstance(token, str) else token
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class Access(NamedTuple):
    """`browser` says that the key is public, so that anybody may hold it."""

    project: Project
    browser: bool


class Authenticator:
    """Knows every project's tokens by their digests; several are valid at once (rotation)."""

    def __init__(self, projects: Iterable[Project]) -> None:
        projects = tuple(projects)
        self._secret: Mapping[str, Access] = MappingProxyType(
            {digest: Access(each, browser=False) for each in projects for digest in each.tokens}
        )
        self._public: Mapping[str, Access] = MappingProxyType(
            {
                digest: Access(each, browser=True)
                for each in projects
                for digest in each.browser_tokens
            }
        )
        self._project_ids: Mapping[str, Access] = MappingProxyType(
            {
                each.browser.project_id: Access(each, browser=True)
                for each in projects
                if each.browser.project_id is not None
            }
        )

    def project(self, authorization: str | None) -> Project:
        """The project whose secret token is the Basic user name; the password is ignored.

        Raises Unauthorized, the same for every cause.
        """
        name = basic_user_name(authorization)
        if name is None:
            raise Unauthorized
        return self.access(Key(name), public=False).project

    def access(self, key: Key, *, public: bool) -> Access:
        """What the key opens; keys that are public count only if `public`.

        Raises UnknownProject for a project id, and otherwise Unauthorized, the same for every
        cause. Looking up a digest takes no secret through a comparison whose time tells how
        much of it was right.
        """
        if key.kind == "project_id":
            return self._of_project_id(key.text)
        digest = token_digest(key.text)
        found = self._secret.get(digest) or (self._public.get(digest) if public else None)
        if found is None:
            raise Unauthorized
        return found

    def _of_project_id(self, project_id: str) -> Access:
        """Raises UnknownProject; which ids there are is no secret."""
        found = self._project_ids.get(project_id)
        if found is None:
            raise UnknownProject
        return found
