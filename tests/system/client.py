"""A client as the contract wants it: it sends an event again, with its hit id, until it is taken.

It writes down every attempt before it makes it, and every answer, in a file of its own.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from tests.system.log_check import CANARY, IP, USER
from tests.system.service import authorization

RETRY_FOR_SECONDS = 60.0
PAUSE_BEFORE_RETRY_SECONDS = 0.1


class Client(threading.Thread):
    """Sends the events one after the other until there are none left or `stopping` is set."""

    def __init__(
        self,
        port: int,
        log: Path,
        hit_ids: Iterable[str],
        stopping: threading.Event,
        *,
        keep_alive: bool,
        pause_seconds: float,
        padding_bytes: int,
        token: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.defect: BaseException | None = None
        self._port = port
        self._log_path = log
        self._hit_ids = hit_ids
        self._stopping = stopping
        self._keep_alive = keep_alive
        self._pause_seconds = pause_seconds
        self._padding = "x" * padding_bytes
        self._headers = {"Authorization": authorization(token), "Content-Type": "application/json"}
        if not keep_alive:
            self._headers["Connection"] = "close"
        self._connection: http.client.HTTPConnection | None = None
        self._tls = tls

    def run(self) -> None:
        try:
            with self._log_path.open("a", encoding="utf-8", buffering=1) as log:
                for hit_id in self._hit_ids:
                    self._send_until_taken(hit_id, log)
                    if self._stopping.wait(self._pause_seconds):
                        break
        except BaseException as error:  # noqa: BLE001 - told by `Load`, in the test's own thread
            self.defect = error
        finally:
            self._hang_up()

    def _send_until_taken(self, hit_id: str, log: TextIO) -> None:
        deadline = time.monotonic() + RETRY_FOR_SECONDS
        while True:
            log.write(json.dumps({"sent": hit_id}) + "\n")
            began = time.monotonic()
            status, error = self._attempt(hit_id)
            now = time.monotonic()
            answer = {"hit_id": hit_id, "status": status, "error": error, "seconds": now - began}
            log.write(json.dumps(answer) + "\n")
            worth_a_retry = status is None or status >= 500
            if not worth_a_retry or now > deadline:
                return
            if self._stopping.wait(PAUSE_BEFORE_RETRY_SECONDS):
                return

    def _attempt(self, hit_id: str) -> tuple[int | None, str | None]:
        body = json.dumps(event(hit_id, padding=self._padding)).encode()
        if self._connection is None:
            self._connection = self._new_connection()
        try:
            self._connection.request("POST", "/track", body, self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            return None, type(error).__name__
        if not self._keep_alive:
            self._hang_up()
        return response.status, None

    def _new_connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=self._tls)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def event(hit_id: str, *, padding: str = "") -> dict[str, Any]:
    """A document for /track."""
    # What is parsed and written anew comes out as other bytes than these.
    label = f"{padding}ü \U0001f600 {CANARY}"
    content = {"name": "Product Viewed", "label": label, "value": 1.5, "user": USER}
    return {"hitId": hit_id, "event": content, "context": {"ip": IP}}
