"""The HTTP session for Google's library: with our deadline, and without redirects or proxies.

Used by `bigquery_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import AuthorizedSession, Request
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from segmentstream_api.destinations.transport.deadline import DeadlineAdapter
from segmentstream_api.destinations.transport.log_filter import quieten

_CONNECTIONS = 16


class Session(AuthorizedSession):
    """Every request has `timeout_seconds` in all, and so have the requests for its token."""

    def __init__(
        self, credentials: Credentials | AnonymousCredentials, timeout_seconds: float
    ) -> None:
        quieten()
        tokens = requests.Session()
        super().__init__(  # type: ignore[no-untyped-call]  # google-auth gives it no types
            credentials, auth_request=Request(session=tokens)
        )
        self._timeout_seconds = timeout_seconds
        for session in (self, tokens):
            session.trust_env = False  # no proxies and no netrc that nobody configured here
            adapter = DeadlineAdapter(connections=_CONNECTIONS, ca_file=DEFAULT_CA_BUNDLE_PATH)
            for scheme in ("http://", "https://"):
                session.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are not followed, since a token would go along."""

    def request(  # type: ignore[override]  # requests names all that the library passes through
        self,
        method: str,
        url: str,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Whatever the library would wait: some of its requests have no limit at all."""
        limits = {"timeout": self._timeout_seconds, "max_allowed_time": self._timeout_seconds}
        response: requests.Response = super().request(  # type: ignore[no-untyped-call]  # as above
            method, url, data, headers, **{**options, **limits}
        )
        return response
