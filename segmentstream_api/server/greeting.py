"""The first thing an operator sees: a request to paste that is sure to work."""

from __future__ import annotations

import shlex
from typing import Any

from segmentstream_api.config import Settings
from segmentstream_api.config.trial_token import TOKEN_FILE, find_token

_EVENT = '{"hitId": "hello-1", "event": {"name": "Registered", "user": {"userId": "u-1"}}}'


def hello(settings: Settings, address: Any, *, show_token: bool) -> str:
    """Where the service listens and a curl line for it, with the token that `init` made.

    Without `show_token` the line takes it from its file when it is run.
    """
    folder = settings.source.parent
    token = find_token(folder)
    if token and not show_token:
        token = f'"$(cat {shlex.quote(str(folder / TOKEN_FILE))})"'
    return greeting(address, token or "YOUR-API-TOKEN")


def greeting(address: Any, token: str) -> str:
    """The same with a token that is known."""
    url = reachable(address)
    reach = "" if isinstance(address, tuple) else f"--unix-socket {address} "
    curl = (
        f"curl -i {reach}{url}/track -u {token}: -H 'Content-Type: application/json' -d '{_EVENT}'"
    )
    return f"\nListening on {url}. Post an event:\n\n  {curl}\n"


def reachable(address: Any) -> str:
    """The URL by which this machine reaches what listens at a host and port, or at a path."""
    if not isinstance(address, tuple):
        return "http://localhost"
    host: str = address[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    return f"http://[{host}]:{address[1]}" if ":" in host else f"http://{host}:{address[1]}"
