"""One deadline for a whole HTTP exchange: connecting, TLS, sending, headers and body together.

urllib3's timeouts bound each read, so a server that drips a byte a second is never timed out.
Here every single wait on the socket gets what is left of the exchange, without extra threads.
Not covered is the host name's lookup, which nothing can interrupt: the resolver's own limits
(resolv.conf) end it, and the time that it took is missing from the rest. Used by `sender.py`.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from segmentstream_api.destinations.transport.failures import NoFinalAnswer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


MAX_INTERIM_ANSWERS = 16  # ours: a server sends one or two, such as 102 while it works


class _TimedReader(io.RawIOBase):
    """Reads from the socket, each time for no longer than what is left."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._sock.settimeout(self._left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _FinalAnswer(HTTPResponse):
    """Reads past interim answers (RFC 9110, section 15.2): they say nothing of the outcome.

    http.client itself reads past 100 alone, and takes any other for the final answer; the real
    one would then be read as the answer to the next request on the connection. Raises
    NoFinalAnswer for 101, since no upgrade was asked for, and for too many; the connection is then
    closed.
    """

    _interim_answers = 0

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        if status // 100 != 1:
            return version, status, reason
        self._interim_answers += 1
        if status == HTTPStatus.SWITCHING_PROTOCOLS or self._interim_answers > MAX_INTERIM_ANSWERS:
            raise NoFinalAnswer
        return version, HTTPStatus.CONTINUE, reason  # `begin` skips its headers and reads on


class _TimedConnection(HTTPConnection):
    """Takes urllib3's `timeout` as the time left from the moment when it is set.

    The adapter asks for a *total* timeout, of which urllib3 sets the rest at each step. Whatever
    asks for it later, urllib3 itself included, gets what is left by then.
    """

    _ends_at: float | None = None

    @property
    def timeout(self) -> float | None:
        if self._ends_at is None:
            return None
        # Never 0, which would switch the socket to non-blocking.
        return max(0.001, self._ends_at - time.monotonic())

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._ends_at = None if seconds is None else time.monotonic() + seconds

    def _left(self) -> float:
        """Seconds; raises TimeoutError when there are none, however fast the other side is."""
        left = float("inf") if self._ends_at is None else self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the exchange has passed")
        return left

    def _new_conn(self) -> socket.socket:
        """Tries the host's addresses in turn, so that one dead address leaves time for the next."""
        try:
            found = socket.getaddrinfo(
                self._dns_host.strip("[]"), self.port, type=socket.SOCK_STREAM
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failure = OSError("the host name has no address")
        for tried, (family, kind, protocol, _name, address) in enumerate(found):
            try:
                share_seconds = self._left() / (len(found) - tried)
                return self._dial(socket.socket(family, kind, protocol), address, share_seconds)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "timed out") from failure
        raise NewConnectionError(self, "failed") from failure

    def _dial(self, sock: socket.socket, address: Any, share_seconds: float) -> socket.socket:
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(share_seconds)
            sock.connect(address)
            sock.settimeout(self._left())  # for the TLS handshake, which is next
        except OSError:
            sock.close()
            raise
        return sock

    def send(self, data: Any) -> None:
        """Sends bytes. One `sendall` over TLS would start anew with each record of 16 KB."""
        if self.sock is None:
            self.connect()
        rest = memoryview(data)
        while rest:
            self.sock.settimeout(self._left())
            rest = rest[self.sock.send(rest) :]

    def response_class(  # type: ignore[override]  # a class there, called like this method
        self, sock: socket.socket, *args: Any, **options: Any
    ) -> HTTPResponse:
        """What http.client calls to read an answer."""
        response = _FinalAnswer(sock, *args, **options)
        response.fp.close()
        response.fp = io.BufferedReader(_TimedReader(sock, self._left))
        return response


class _TimedSecureConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedSecurePool(HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


class DeadlineAdapter(HTTPAdapter):
    """Makes `timeout=seconds` of a requests session a deadline for the whole exchange.

    `ca_file` holds the trusted authorities. It is read once; requests by itself reads it anew
    for each connection (15 ms).
    """

    def __init__(self, *, connections: int, ca_file: str) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file)
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedSecurePool}

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Certificates are always verified, by the context that the pools were given."""
        conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Called by the session, which names every option."""
        options["timeout"] = Timeout(total=options["timeout"])
        return super().send(request, **options)
