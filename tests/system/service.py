"""The real service in a folder of its own: started, stopped and killed as an operator would.

System tests know it from outside alone; nothing here imports the package. Whenever one ends, its
log is searched for what it must never show.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.system.log_check import CHECKOUT, DOCUMENTED_EXAMPLE, TOKEN, require_clean

__all__ = [
    "CHECKOUT",
    "DOCUMENTED_EXAMPLE",
    "TOKEN",
    "Service",
]  # the first three are at home there

STOP_TIMEOUT_SECONDS = 40.0  # more than gunicorn's graceful_timeout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def token_digest(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def authorization(token: str = TOKEN) -> str:
    return "Basic " + base64.b64encode(f"{token}:".encode()).decode()


class Service:
    """gunicorn with the shipped settings and a configuration that the test writes."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        threads: int = 8,
        python: str | Path = sys.executable,
    ) -> None:
        """`python` is one that has the package installed."""
        self.folder = folder
        self.python = str(python)
        self.workers = workers
        self.port = free_port()
        self.environ = {
            **os.environ,
            "SEGMENTSTREAM_CONFIG": str(folder / "segmentstream.toml"),
            "WEB_CONCURRENCY": str(workers),
            "SEGMENTSTREAM_THREADS": str(threads),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "service.log"
        self.store = folder / "segmentstream.db"
        self._killed: set[int] = set()
        self._deliver_processes: list[subprocess.Popen[bytes]] = []

    def configure(
        self,
        destinations: Mapping[str, Mapping[str, Any]],
        *,
        store: Mapping[str, Any] | None = None,
        delivery: Mapping[str, Any] | None = None,
        tokens: Sequence[str] = (TOKEN,),
    ) -> None:
        """Writes segmentstream.toml with one project that has all these destinations."""
        sections = {
            "store": {"disk_floor_megabytes": 1, **(store or {})},
            "delivery": dict(delivery or {}),
            "projects.shop": {
                "tokens": [token_digest(token) for token in tokens],
                "destinations": list(destinations),
            },
            **{f"destinations.{name}": settings for name, settings in destinations.items()},
        }
        lines = []
        for name, section in sections.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in section.items()]
        (self.folder / "segmentstream.toml").write_text("\n".join(lines), "utf-8")

    def start(self, *arguments: str) -> None:
        """Returns when it answers."""
        self.process = self._gunicorn(*arguments)
        self.wait_until_ready()

    def start_refused(self, *arguments: str, timeout_seconds: float = 30.0) -> tuple[int, str]:
        """Starts what must not start: its exit code and what it said."""
        logged = self.log.stat().st_size if self.log.exists() else 0
        process = self._gunicorn(*arguments)
        try:
            code = process.wait(timeout_seconds)
        finally:
            kill(process)
        require_clean(self.log)
        return code, self.log.read_bytes()[logged:].decode()

    def start_deliver(self) -> subprocess.Popen[bytes]:
        """A process of `segmentstream-api deliver`, beside the workers or instead of them."""
        process = self._process("-m", "segmentstream_api", "deliver")
        self._deliver_processes.append(process)
        return process

    def _gunicorn(self, *arguments: str) -> subprocess.Popen[bytes]:
        settings = str(CHECKOUT / "gunicorn.conf.py")
        bind = f"127.0.0.1:{self.port}"
        return self._process("-m", "gunicorn", "-c", settings, "--bind", bind, *arguments)

    def _process(self, *arguments: str, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.python, *arguments],
                cwd=self.folder,
                env=self.environ,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,  # so that the whole group can be killed, and nobody else
            )

    def wait_until_ready(self, timeout_seconds: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended: {self.log.read_text()[-3000:]}"
            try:
                self.request("GET", "/health")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"no answer in {timeout_seconds} s: {self.log.read_text()[-3000:]}")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, and body of one request of its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def post(self, document: Any, *, token: str = TOKEN, timeout_seconds: float = 30.0) -> int:
        """The status that the document gets at /track."""
        headers = {"Authorization": authorization(token), "Content-Type": "application/json"}
        body = json.dumps(document).encode()
        return self.request("POST", "/track", body, headers, timeout_seconds)[0]

    def worker_pids(self) -> list[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def kill_a_worker(self, timeout_seconds: float = 30.0) -> None:
        """Kill -9 of a random one; waits for its successors if all were killed before."""
        deadline = time.monotonic() + timeout_seconds
        while not (alive := set(self.worker_pids()) - self._killed):
            assert time.monotonic() < deadline, f"no worker: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)
        killed = random.choice(sorted(alive))
        os.kill(killed, signal.SIGKILL)
        self._killed.add(killed)

    def signal(self, number: signal.Signals) -> None:
        """To the main process, as an operator sends it."""
        assert self.process is not None
        self.process.send_signal(number)

    def reload(self, timeout_seconds: float = 30.0) -> None:
        """SIGHUP; returns when every worker is a new one and the old ones have ended."""
        old = set(self.worker_pids())
        self.signal(signal.SIGHUP)
        deadline = time.monotonic() + timeout_seconds
        while len(self.worker_pids()) != self.workers or old & set(self.worker_pids()):
            assert time.monotonic() < deadline, f"no reload: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)
        self.wait_until_ready()

    def kill_group(self) -> None:
        """The main process and every worker at once, without a word."""
        assert self.process is not None
        kill(self.process)
        self.process = None
        require_clean(self.log)

    def kill_everything(self) -> None:
        """What a test may have left running."""
        for process in filter(None, [self.process, *self._deliver_processes]):
            kill(process)
        require_clean(self.log)

    def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int | None:
        """Ends it as a supervisor does; its exit code, or None if it was not running."""
        for process in self._deliver_processes:
            end(process, timeout_seconds)
        main, self.process = self.process, None
        code = None if main is None else end(main, timeout_seconds)
        require_clean(self.log)
        return code


def _toml(value: Any) -> str:
    """The value as TOML, where it is not as in JSON: a table on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def end(process: subprocess.Popen[bytes], timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
    """The exit code after SIGTERM. Raises TimeoutExpired after having killed it."""
    process.terminate()
    try:
        return process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        raise


def kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group of a process that leads one, unless it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def raw_exchange(
    port: int, request: bytes, *, close_after: bool = False, tls: ssl.SSLContext | None = None
) -> bytes:
    """What the service answers to these very bytes; `close_after` ends the sending side."""
    with connected(port, tls) as connection:
        connection.sendall(request)
        if close_after:
            # Who has answered and hung up already is read all the same. That of TLS would stop
            # decrypting.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
                head, separator, rest = answer.partition(b"\r\n\r\n")
                length = _content_length(head)
                if separator and len(rest) >= length:
                    return head + separator + rest[:length]
        except (ConnectionResetError, TimeoutError, ssl.SSLEOFError):
            pass
        return answer


def connected(port: int, tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connection to this machine; with `tls`, after the handshake."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=15)
    return connection if tls is None else tls.wrap_socket(connection, server_hostname="127.0.0.1")


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
