"""The first thing an operator sees: a request to paste that is sure to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segmentstream_api.config import Settings

TOKEN_FILE = "segmentstream.token"  # noqa: S105 - a file name
_EVENT = '{"hitId": "hello-1", "event": {"name": "Registered", "user": {"userId": "u-1"}}}'


def hello(settings: Settings, address: Any) -> str:
    """Where the service listens and a curl line for it, with the token that `init` made."""
    token = find_token(settings.source.parent) or "YOUR-API-TOKEN"
    if isinstance(address, tuple):
        host, port = address[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared
        reach, url = "", f"http://{host}:{port}"
    else:
        reach, url = f"--unix-socket {address} ", "http://localhost"
    curl = (
        f"curl -i {reach}{url}/track -u {token}: -H 'Content-Type: application/json' -d '{_EVENT}'"
    )
    return f"\nListening on {url}. Post an event:\n\n  {curl}\n"


def find_token(folder: Path) -> str | None:
    """The token that `init` wrote beside the configuration for trying it out, if it is there."""
    try:
        return (folder / TOKEN_FILE).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
