"""Web pages of another origin than the service's, and the service that lets them send."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.system.service import Service, token_digest

BROWSER_TOKEN = "browser-token-4711"
PROJECT_ID = "p-demo-1"


class Pages:
    """Answers each path with a text, or with a file. Its port makes it an origin of its own."""

    def __init__(self, pages: Mapping[str, str | Path]) -> None:
        pages = {"/favicon.ico": "", **pages}  # browsers ask for it

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                body = page.read_bytes() if isinstance(page, Path) else (page or "").encode()
                self.send_response(404 if page is None else 200)
                script = self.path.endswith("js")
                self.send_header("Content-Type", "text/javascript" if script else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def open_to(service: Service, *origins: str) -> None:
    """Configures a project that takes what pages of these origins send."""
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    with (service.folder / "segmentstream.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            f"""
[projects.web]
tokens = ["{token_digest("web-token")}"]
browser_tokens = ["{token_digest(BROWSER_TOKEN)}"]
destinations = ["archive"]
[projects.web.browser]
project_id = "{PROJECT_ID}"
origins = {json.dumps(origins)}
"""
        )


def stored(service: Service) -> list[dict[str, Any]]:
    file = service.folder / "events.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]
