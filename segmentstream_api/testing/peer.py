"""An HTTP server on 127.0.0.1 that answers as it is told: well, slowly, wrongly or never."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Self


@dataclass(frozen=True)
class Received:
    """One request. The names of `headers` are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; underscores in the headers' names stand for dashes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Peer:
    """A context manager. `replies` makes the pieces of an answer from a request, None for never.

    It waits `pause_seconds` after each piece, and hangs up after an answer unless `keep_alive`.
    """

    def __init__(
        self,
        replies: Callable[[Received], Iterable[bytes]] | bytes | None,
        *,
        pause_seconds: float = 0.0,
        keep_alive: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._replies = (lambda _: [replies]) if isinstance(replies, bytes) else replies
        self._pause_seconds = pause_seconds
        self._keep_alive = keep_alive
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        socket.create_connection(self._address).close()  # wakes the accepting thread
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def hang_up(self) -> None:
        """Closes every open connection, as a server does with idle ones."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def converse(self, connection: socket.socket) -> None:
        """Everything on one connection."""
        with connection.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                self.received.append(request)
                if self._replies is None:
                    self.stopping.wait()
                    return
                for piece in self._replies(request):
                    connection.sendall(piece)
                    if self.stopping.wait(self._pause_seconds):
                        return
                if not self._keep_alive:
                    return

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.stopping.is_set():
                connection.close()
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._open.add(connection)
            if self._tls:
                self._open.remove(connection)
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.add(connection)
            self.converse(connection)
        except OSError:
            pass  # the client has gone, or did not like the certificate
        finally:
            self._open.discard(connection)
            connection.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()


def _read(stream: BinaryIO) -> Received | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    headers = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Received(line, headers, stream.read(int(headers.get("content-length", 0))))


def closed_port() -> str:
    """The URL of a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
