from __future__ import annotations

import ssl
from http.client import BadStatusLine, IncompleteRead
from socket import gaierror

import pytest
from requests import RequestException
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from segmentstream_api.destinations.transport.failures import failure

CONNECTION = HTTPConnection("example.com")
POOL = HTTPConnectionPool("example.com")


@pytest.mark.parametrize(
    "error",
    [
        NameResolutionError("example.com", CONNECTION, gaierror()),
        NewConnectionError(CONNECTION, "refused"),
        ConnectTimeoutError(),
        ssl.SSLCertVerificationError(),
        ssl.SSLError(),
        ValueError(),
    ],
)
def test_what_was_never_sent_cannot_have_arrived(error):
    assert not failure(error, 1).unanswered


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(POOL, "/", "late"),
        TimeoutError(),
        ssl.SSLEOFError(),
        ConnectionResetError(),
        BrokenPipeError(),
        IncompleteRead(b""),
        BadStatusLine("x"),
        RequestException(),
    ],
)
def test_what_was_on_its_way_may_have_arrived(error):
    assert failure(error, 1).unanswered


def test_the_cause_of_a_foreign_exception_decides():
    error = RequestException()
    error.__context__ = NewConnectionError(CONNECTION, "refused")
    assert not failure(error, 1).unanswered
