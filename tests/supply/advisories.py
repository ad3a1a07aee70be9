"""A stand-in for osv.dev on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JINJA = ("jinja2", "2.4.1")


def advisory(name: str, number: str, alias: str, fixed: str) -> dict:
    """In the OSV format, https://ossf.github.io/osv-schema/."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    package = {"name": name, "ecosystem": "PyPI"}
    affected = {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": number, "aliases": [alias], "summary": "made up", "affected": [affected]}


class Advisories(ThreadingHTTPServer):
    """`known` is what it tells of, by name and version; jinja2 2.4.1 is in it from the start.

    `answer` takes the place of every answer after the first `honest` ones.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1/query"
        self.known = {JINJA: [advisory("jinja2", "PYSEC-1", "CVE-1", "2.7.2")]}
        self.answer: tuple[int, bytes] | None = None
        self.honest = 0
        self.asked: list[tuple[str, str]] = []
        self.silent = threading.Event()
        self.silent.set()  # set: it speaks

    def handle_error(self, *_: object) -> None:
        """Says nothing of a client that did not wait."""


class _Handler(BaseHTTPRequestHandler):
    server: Advisories

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = (question["package"]["name"], question["version"])
        self.server.asked.append(asked)
        self.server.silent.wait(60)
        known = self.server.known.get(asked)
        status, body = 200, json.dumps({"vulns": known} if known else {}).encode()
        if self.server.answer and len(self.server.asked) > self.server.honest:
            status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving() -> Iterator[Advisories]:
    server = Advisories()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.silent.set()
        server.shutdown()
        thread.join()
        server.server_close()
