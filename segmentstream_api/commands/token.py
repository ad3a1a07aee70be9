"""`segmentstream-api token`: a new API token and its digest, or the digest of a given one."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from segmentstream_api.commands.arguments import Subparsers, add_command, add_json_option
from segmentstream_api.commands.table import print_json
from segmentstream_api.errors import CommandError
from segmentstream_api.http.auth import token_digest

_TOKEN_BYTES = 24  # of chance: 32 characters that nobody guesses


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "token",
        summary="Make an API token.",
        description="Clients send the token; the configuration holds only its digest, from which"
        " the token cannot be found. Nothing is changed: add the printed line to the project"
        " yourself. A project may have several tokens at once, so that clients can change over"
        " one by one.\n\nThe token is shown once. Give it to the client, and keep it nowhere else.",
        example="segmentstream-api token\nsegmentstream-api token --digest < token.txt",
        run=run,
    )
    parser.add_argument(
        "--digest",
        action="store_true",
        help="make none; read a token from standard input and print its digest",
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    if args.digest:
        digest = token_digest(_given_token())
        if args.json:
            print_json({"digest": digest})
        else:
            print(digest)
        return 0
    token = new_token()
    digest = token_digest(token)
    line = f'tokens = ["{digest}"]'
    if args.json:
        print_json({"token": token, "digest": digest, "toml": line})
    else:
        print(f"Token:   {token}\nDigest:  {digest}\n")
        print(f"Under [projects.NAME] in the configuration:\n\n  {line}\n")
        print("If the project has tokens already, add the digest to their list.")
    return 0


def new_token() -> str:
    """A token that nobody guesses and that no command line takes for an option."""
    while (token := secrets.token_urlsafe(_TOKEN_BYTES)).startswith("-"):
        pass
    return token


def _given_token() -> bytes:
    if sys.stdin.isatty():
        token = getpass.getpass("Token (not shown): ").encode()
    else:
        token = sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not token:
        raise CommandError("there is no token on the first line of standard input")
    if b":" in token:
        raise CommandError(
            "a token must not hold a colon: in HTTP Basic authentication it would end there"
        )
    return token
