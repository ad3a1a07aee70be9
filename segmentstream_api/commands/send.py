"""`segmentstream-api send`: posts one event to a running service and says what came back."""

from __future__ import annotations

import argparse
import json
import sys
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

from segmentstream_api.commands.arguments import Subparsers, add_command
from segmentstream_api.commands.service_client import (
    TOKEN_HELP,
    Service,
    add_service_options,
    errors_in,
    problem_in,
)
from segmentstream_api.commands.table import printable
from segmentstream_api.destinations.base import Retry
from segmentstream_api.destinations.transport.sender import Answer
from segmentstream_api.errors import CommandError

_DEFAULT_EVENT = "Test Event"
_DEFAULT_USER_ID = "test-user"


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "send",
        summary="Post one event to a running service and say what came back.",
        description="The service takes it for a real one: it goes to every destination of the"
        " token's project. The exit code is 0 if it was accepted (204), else 1.\n\n"
        f"{TOKEN_HELP}",
        example='segmentstream-api send --event "Registered" --user-id u-1\n'
        "segmentstream-api send --file event.json",
        run=run,
    )
    add_service_options(parser)
    parser.add_argument("--event", metavar="NAME", help=f"its name (default: {_DEFAULT_EVENT})")
    parser.add_argument(
        "--user-id", metavar="ID", help=f"of its user (default: {_DEFAULT_USER_ID})"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="post this JSON as it is instead; - is standard input"
    )


def run(args: argparse.Namespace) -> int:
    service = Service(args)
    answer = service.post(_body(args))
    service.close()
    if isinstance(answer, Retry):
        print(f"No answer from {printable(service.url)}: {answer.reason}.", file=sys.stderr)
        print("Is the service running? `segmentstream-api serve` starts it.", file=sys.stderr)
        return 1
    if answer.status == HTTPStatus.NO_CONTENT:
        print("204 No Content: the event was accepted.")
        return 0
    for line in _told(answer):
        print(printable(line))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        print(f"The token came from {service.token_came_from}.")
    return 1


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
    problem = problem_in(answer)
    if problem is None:
        kind = answer.headers.get("Content-Type", "no content type")
        lines = [f"{answer.status} {phrase} ({kind}): this is not an answer of the service."]
        location = answer.headers.get("Location")
        return lines + ([f"It points to {location}, which is not followed."] if location else [])
    lines = [f"{answer.status} {phrase}: {problem.get('title')}", str(problem.get("detail"))]
    lines += [f"  {pointer or 'document'}: {detail}" for pointer, detail in errors_in(problem)]
    return lines
