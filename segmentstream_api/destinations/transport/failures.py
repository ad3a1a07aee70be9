"""An exception of requests, urllib3, ssl or the socket → Retry. Used by `sender.py`."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead

from requests import RequestException
from urllib3 import exceptions as urllib3

from segmentstream_api.destinations.base import Retry


class NoFinalAnswer(HTTPException):
    """Too many interim answers, or 101, which was not asked for."""


FOREIGN = (RequestException, urllib3.HTTPError, HTTPException, OSError, ValueError)
"""What an exchange may raise. ValueError: a URL or header that cannot be sent."""

# The first that fits, so a class stands before its bases. True, first: only the operator can mend
# it. True, second: the request was on its way, so that it may have arrived.
_REASONS: tuple[
    tuple[type[BaseException] | tuple[type[BaseException], ...], str, bool, bool], ...
] = (
    (urllib3.NameResolutionError, "the host name could not be resolved", True, False),
    (urllib3.NewConnectionError, "could not connect", False, False),
    (urllib3.ConnectTimeoutError, "could not connect within {:g} s", False, False),
    ((urllib3.ReadTimeoutError, TimeoutError), "no answer within {:g} s", False, True),
    (ssl.SSLCertVerificationError, "the TLS certificate was refused", True, False),
    (
        (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        "the connection was closed too early",
        False,
        True,
    ),
    (ssl.SSLError, "no TLS connection could be made", True, False),
    (ConnectionError, "the connection was closed too early", False, True),
    (IncompleteRead, "the answer was cut short", False, True),
    (NoFinalAnswer, "interim answers (1xx) came, but no final one", False, True),
    (HTTPException, "the answer was not HTTP", False, True),
    (ValueError, "the URL or a header cannot be sent", True, False),
)


def failure(error: BaseException, timeout_seconds: float) -> Retry:
    """Says by the exceptions' classes what happened: their texts hold URLs and header values."""
    for cause in _chain(error):
        for kinds, reason, misconfigured, unanswered in _REASONS:
            if isinstance(cause, kinds):
                return Retry(
                    reason.format(timeout_seconds),
                    misconfigured=misconfigured,
                    unanswered=unanswered,
                )
    return Retry(f"the request failed ({type(error).__name__})", unanswered=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
