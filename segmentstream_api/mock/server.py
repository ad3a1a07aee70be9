"""The mock under gunicorn, as the service itself is: the same parser, worker and answers.

One worker with threads, because what it remembers is in its memory. Any other server would differ
where trackers go wrong: kept connections, early answers, chunked bodies, what is not HTTP at all.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from segmentstream_api.mock.application import Mock

_THREADS = 16  # as the service has
_GRACEFUL_TIMEOUT_SECONDS = 5  # enough for every request on its way: none waits for a destination


class MockServer(BaseApplication):
    """`run` serves until SIGTERM, SIGINT or SIGHUP, and ends by SystemExit.

    `ready` is called once requests are answered. With `until_eof` the server also ends when its
    standard input does, so that it does not outlive whoever started it.
    """

    def __init__(
        self, mock: Mock, listener: socket.socket, ready: Callable[[], None], *, until_eof: bool
    ) -> None:
        self._mock = mock
        self._listener = listener.detach()
        self._ready = ready
        self._until_eof = until_eof
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"fd://{self._listener}",
            "worker_class": "segmentstream_api.server.worker.Worker",
            "workers": 1,
            "threads": _THREADS,
            "timeout": 0,  # never killed: what was accepted would be forgotten
            "graceful_timeout": _GRACEFUL_TIMEOUT_SECONDS,
            "header_map": "drop",
            "secure_scheme_headers": {"X-FORWARDED-PROTO": "https"},
            "loglevel": "warning",
            "control_socket_disable": True,
            "on_reload": _end,  # a terminal hung up, after which gunicorn would live on
            "post_worker_init": self._start,
            "worker_exit": self._stop,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._mock

    def _start(self, worker: Any) -> None:
        self._mock.start()
        if self._until_eof:  # here and not before the fork, which must not meet a second thread
            threading.Thread(target=_wait_for_eof, args=(worker.ppid,), daemon=True).start()
        self._ready()

    def _stop(self, _server: Any, _worker: Any) -> None:
        self._mock.stop()


def _end(server: Arbiter) -> None:
    server.halt()


def _wait_for_eof(server: int) -> None:
    while os.read(0, 4096):
        pass
    os.kill(server, signal.SIGTERM)
