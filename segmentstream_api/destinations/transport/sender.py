"""What every HTTP destination shares: sending a request, and what an answer means.

`HttpSender.post` gives an `Answer`, or the `Retry` that a failed exchange comes to; `outcome_of`
turns either into an outcome. A destination whose vendor answers differently looks at the answer
first and leaves the rest to `outcome_of`. No reason holds anything of URL, headers or bodies:
URLs may carry keys, and a vendor may echo what it was sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected, Retry
from segmentstream_api.destinations.transport.deadline import DeadlineAdapter
from segmentstream_api.destinations.transport.failures import FOREIGN, failure
from segmentstream_api.destinations.transport.log_filter import quieten
from segmentstream_api.destinations.transport.retry_after import retry_after_seconds
from segmentstream_api.version import package_version

MAX_ANSWER_BYTES = 65_536
"""What is read of an answer's body. Vendors answer with less than 1 KB; more is a fault."""


NOT_ABOUT_THE_EVENT = frozenset({401, 402, 403, 404, 405, 407, 421, 426, 451})
"""Statuses of RFC 9110, 402 and 451 (RFC 7725) among them, that would refuse any event."""

LATER = frozenset({408, 425, 429})
"""Statuses that ask for the same request again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `headers` in any case, and up to MAX_ANSWER_BYTES of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def outcome_of(answer: Answer | Retry, *, now: float | None = None) -> Outcome:
    """What an HTTP answer means unless the vendor documents otherwise.

    An answer about the account, the address or the route (`NOT_ABOUT_THE_EVENT`) is retried: the
    event is fine, the configuration is not. A refusal with `Retry-After` is not final.
    `now` is the Unix time from which a `Retry-After` date counts.
    """
    if isinstance(answer, Retry):
        return answer
    status, reason = answer.status, f"HTTP {answer.status}"
    match status // 100:
        case 2:
            return Delivered()
        case 3:
            return Retry(f"{reason}: redirects are not followed", misconfigured=True)
        case 4 if status in NOT_ABOUT_THE_EVENT:
            return Retry(reason, misconfigured=True)
        case 4 if status not in LATER and not (
            status in {400, 423} and answer.headers.get("Retry-After")
        ):
            return Rejected(reason)
    after = retry_after_seconds(
        answer.headers.get("Retry-After"), time.time() if now is None else now
    )
    return Retry(reason, after_seconds=after)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are not followed.

        Even with allow_redirects=False requests prepares the request that would follow, and reads
        the whole body of the redirect, however long, to do so.
        """


class HttpSender:
    """One pool of connections and one deadline. For several threads at once.

    `timeout_seconds` bounds the whole exchange, from connecting to the last byte of the body.
    `connections` are kept open for the next request; more threads than that get new ones.
    `ca_file` replaces the public certificate authorities by those of a PEM file.
    """

    def __init__(
        self, *, timeout_seconds: float = 10.0, connections: int = 32, ca_file: str | None = None
    ) -> None:
        quieten()
        self._timeout_seconds = timeout_seconds
        self._session = _Session()
        self._session.trust_env = False  # no proxies and no netrc that nobody configured here
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._session.headers.update(
            {"User-Agent": f"segmentstream-api/{package_version()}", "Accept-Encoding": "identity"}
        )
        adapter = DeadlineAdapter(
            connections=connections, ca_file=ca_file or DEFAULT_CA_BUNDLE_PATH
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def post(
        self,
        url: str,
        *,
        data: bytes,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer | Retry:
        """The answer, whatever its status, or Retry if none came. Raises nothing.

        A status whose body does not arrive within the deadline is not an answer.
        """
        try:
            with self._session.post(
                url,
                data=data,
                headers=dict(headers),
                params=params,
                auth=auth,
                timeout=self._timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(response.status_code, response.headers, _body(response))
        except FOREIGN as error:
            return failure(error, self._timeout_seconds)

    def close(self) -> None:
        self._session.close()


def _body(response: requests.Response) -> bytes:
    """A body read to its end frees its connection for the next request; a longer one closes it."""
    body = b""
    while part := response.raw.read(MAX_ANSWER_BYTES + 1 - len(body), decode_content=False):
        body += part
    return body[:MAX_ANSWER_BYTES]
