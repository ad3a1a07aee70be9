"""A destination on loopback that writes down what it gets, with fsync, before it answers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.system.log_check import CANARY, WEBHOOK_SECRET


class Receiver:
    """`answer(count)` decides the status for the count-th request, or None to cut the line.

    Every request is logged before it is answered, also one whose answer is cut: that one was
    delivered and its sender does not know. `before_answer` is called in between.
    """

    def __init__(
        self, log: Path, answer: Callable[[int], int | None] = lambda _count: 204, port: int = 0
    ) -> None:
        self.log = log
        self.answer = answer
        self.delay_seconds = 0.0
        self.before_answer: Callable[[], object] = lambda: None
        self._count = 0
        self._lock = threading.Lock()
        self._file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._server = _Server(port, self._receive)
        self.port: int = self._server.server_address[1]
        self.url = url_of(self.port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stops listening and hangs up: connections are refused from now on."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server.hang_up()

    def as_webhook(self, *, timeout_seconds: float = 1.0) -> dict[str, Any]:
        """A destination's settings. A lease lasts twice the timeout and 5 s more."""
        return webhook(self.port, timeout_seconds=timeout_seconds)

    def requests(self) -> list[dict[str, Any]]:
        """`{"key": …, "body": …, "headers": …, "status": …}` of each, in order of arrival."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        body = handler.rfile.read(length)
        if len(body) < length:  # its sender was killed in the middle of it
            handler.close_connection = True
            return
        with self._lock:
            self._count += 1
            status = self.answer(self._count)
            entry = {
                "key": handler.headers["webhook-id"],
                "body": body.decode(),
                "headers": dict(handler.headers),
                "status": status,
            }
            os.write(self._file, (json.dumps(entry) + "\n").encode())
            os.fsync(self._file)
        self.before_answer()
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if status is None:
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def webhook(port: int, *, timeout_seconds: float = 1.0) -> dict[str, Any]:
    return {
        "type": "webhook",
        "url": url_of(port),
        "secret": WEBHOOK_SECRET,
        "headers": {"Authorization": f"Bearer {CANARY}"},
        "timeout_seconds": timeout_seconds,
    }


def url_of(port: int) -> str:
    """With a key in its query, as many vendors want it."""
    return f"http://127.0.0.1:{port}/hook?api_key={CANARY}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, receive: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self._connections: set[socket.socket] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receive(self)

            def log_message(self, *_arguments: Any) -> None:
                """Silent."""

        super().__init__(("127.0.0.1", port), Handler)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: senders are killed before they have read their answers."""


class Hanging:
    """A destination that takes every connection and never says a word."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        """Refuses connections from now on, and hangs up the others."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connections.append(self._listener.accept()[0])
