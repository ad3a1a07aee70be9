"""`segmentstream-api send`: posts one event to a running service and says what came back."""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    config_path,
)
from segmentstream_api.commands.table import printable
from segmentstream_api.destinations.base import Retry
from segmentstream_api.destinations.http import Answer, HttpSender
from segmentstream_api.errors import CommandError
from segmentstream_api.hello import TOKEN_FILE, find_token

_TIMEOUT_SECONDS = 30.0  # a request waits 7 s for destinations and 5 s for the store at most
_DEFAULT_EVENT = "Test Event"
_DEFAULT_USER_ID = "test-user"


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "send",
        summary="Post one event to a running service and say what came back.",
        description="The service takes it for a real one: it goes to every destination of the"
        " token's project. The exit code is 0 if it was accepted (204), else 1.\n\n"
        f"The token is that of --token, else of $SEGMENTSTREAM_TOKEN, else of {TOKEN_FILE}"
        " beside the configuration. Other users of the machine can see --token while the command"
        " runs.",
        example='segmentstream-api send --event "Registered" --user-id u-1\n'
        "segmentstream-api send --file event.json",
        run=run,
    )
    parser.add_argument(
        "--url", default="http://127.0.0.1:8000", help="the service (default: %(default)s)"
    )
    parser.add_argument("--token", help="the API token")
    parser.add_argument("--event", metavar="NAME", help=f"its name (default: {_DEFAULT_EVENT})")
    parser.add_argument(
        "--user-id", metavar="ID", help=f"of its user (default: {_DEFAULT_USER_ID})"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="post this JSON as it is instead; - is standard input"
    )
    add_config_option(parser)


def run(args: argparse.Namespace) -> int:
    url = _track_url(args.url)
    token, came_from = _token(args)
    body = _body(args)
    sender = HttpSender(timeout_seconds=_TIMEOUT_SECONDS)
    credentials = base64.b64encode(os.fsencode(token) + b":").decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    answer = sender.post(url, data=body, headers=headers)
    sender.close()
    if isinstance(answer, Retry):
        print(f"No answer from {printable(url)}: {answer.reason}.", file=sys.stderr)
        print("Is the service running? `segmentstream-api serve` starts it.", file=sys.stderr)
        return 1
    if answer.status == HTTPStatus.NO_CONTENT:
        print("204 No Content: the event was accepted.")
        return 0
    for line in _told(answer):
        print(printable(line))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        print(f"The token came from {came_from}.")
    return 1


def _track_url(given: str) -> str:
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


def _body(args: argparse.Namespace) -> bytes:
    if args.file is None:
        name = _DEFAULT_EVENT if args.event is None else args.event
        user_id = _DEFAULT_USER_ID if args.user_id is None else args.user_id
        event = {"name": name, "user": {"userId": user_id}}
        return json.dumps({"hitId": str(uuid4()), "event": event}).encode()
    if args.event is not None or args.user_id is not None:
        raise CommandError("--event and --user-id make an event; with --file there is one already")
    if args.file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(args.file).read_bytes()
    except OSError as error:
        raise CommandError(f"{args.file} cannot be read: {error.strerror}") from error


def _told(answer: Answer) -> list[str]:
    """The answer's own words if it is a problem document (RFC 9457), else what it is."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "an unknown status"
    problem = _problem(answer)
    if problem is None:
        kind = answer.headers.get("Content-Type", "no content type")
        lines = [f"{answer.status} {phrase} ({kind}): this is not an answer of the service."]
        location = answer.headers.get("Location")
        return lines + ([f"It points to {location}, which is not followed."] if location else [])
    lines = [f"{answer.status} {phrase}: {problem.get('title')}", str(problem.get("detail"))]
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            lines.append(f"  {error.get('pointer') or 'document'}: {error.get('detail')}")
    return lines


def _problem(answer: Answer) -> dict[str, Any] | None:
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        problem = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return problem if isinstance(problem, dict) else None
