"""A running service as the commands that post to it see it: its address, a token, its answers."""

from __future__ import annotations

import argparse
import base64
import json
import os
from typing import Any
from urllib.parse import urlsplit

from segmentstream_api.commands.arguments import add_config_option, config_path
from segmentstream_api.config.trial_token import TOKEN_FILE, find_token
from segmentstream_api.destinations.base import Retry
from segmentstream_api.destinations.transport.sender import Answer, HttpSender
from segmentstream_api.errors import CommandError

TOKEN_HELP = (
    f"The token is that of --token, else of $SEGMENTSTREAM_TOKEN, else of {TOKEN_FILE}"
    " beside the configuration. Other users of the machine can see --token while the command"
    " runs."
)
_TIMEOUT_SECONDS = 30.0  # a request waits 7 s for destinations and 5 s for the store at most


def add_service_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url", default="http://127.0.0.1:8000", help="the service (default: %(default)s)"
    )
    parser.add_argument("--token", help="the API token")
    add_config_option(parser)


class Service:
    """Raises CommandError where `args` do not say where it is and with which token."""

    def __init__(self, args: argparse.Namespace, *, connections: int = 1) -> None:
        self.url = track_url(args.url)
        token, self.token_came_from = _token(args)
        credentials = base64.b64encode(os.fsencode(token) + b":").decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }
        self._sender = HttpSender(timeout_seconds=_TIMEOUT_SECONDS, connections=connections)

    def post(self, body: bytes) -> Answer | Retry:
        return self._sender.post(self.url, data=body, headers=self._headers)

    def close(self) -> None:
        self._sender.close()


def track_url(given: str) -> str:
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:  # and it is not shown: there may be a password in it
        raise CommandError("--url must be like http://127.0.0.1:8000, without user and password")
    base = given.rstrip("/")
    return base if base.endswith("/track") else f"{base}/track"


def problem_in(answer: Answer) -> dict[str, Any] | None:
    """The answer's problem document (RFC 9457), if it is one."""
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        problem = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return problem if isinstance(problem, dict) else None


def errors_in(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """Pointer and detail of each violation that the problem document names."""
    errors = problem.get("errors")
    return [
        (str(error.get("pointer") or ""), str(error.get("detail")))
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict)
    ]


def _token(args: argparse.Namespace) -> tuple[str, str]:
    """The token, and where it came from."""
    folder = config_path(args).parent
    for token, came_from in (
        (args.token, "--token"),
        (os.environ.get("SEGMENTSTREAM_TOKEN"), "$SEGMENTSTREAM_TOKEN"),
        (find_token(folder), str(folder / TOKEN_FILE)),
    ):
        if token:
            return token, came_from
    raise CommandError(
        f"no token: give --token or $SEGMENTSTREAM_TOKEN; there is no {folder / TOKEN_FILE}"
    )
