"""`segmentstream-api mock`: the service for the tests of a tracker; nothing leaves it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

from segmentstream_api.commands.arguments import Subparsers, add_command, add_json_option
from segmentstream_api.commands.token import new_token
from segmentstream_api.errors import CommandError
from segmentstream_api.mock.application import Mock
from segmentstream_api.mock.server import MockServer
from segmentstream_api.mock.settings import mock_settings
from segmentstream_api.server.greeting import greeting, reachable

_MAX_PORT = 65_535


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "mock",
        summary="Run the service for the tests of a tracker.",
        description="It answers as the service does, to the byte, and keeps what it was sent in"
        " memory: there is no destination. GET /_mock/accepted has the accepted events, GET"
        " /_mock/rejected what was refused and why; POST /_mock/reset forgets both, and every"
        " hitId. These three ask for no token.\n\n"
        "Stop it with Ctrl-C or SIGTERM; it leaves nothing behind.",
        example="segmentstream-api mock --token abc123\n"
        "segmentstream-api mock --config segmentstream.toml",
        run=run,
    )
    parser.add_argument(
        "--port", type=_port, default=8000, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--bind",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="the address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--token", type=_token, help="the API token to take (default: one made up and printed)"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="take projects, their tokens and what they say of events from this configuration;"
        " its destinations are left out, and --token is one more of its first project",
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input does, too"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> NoReturn:
    """Ends by SystemExit, as gunicorn does."""
    token = args.token or new_token()
    for number in (signal.SIGTERM, signal.SIGHUP):  # until gunicorn takes them over
        signal.signal(number, lambda *_: sys.exit(0))
    owner = os.getpid()
    folder = Path(mkdtemp(prefix="segmentstream-mock-"))
    try:
        settings = mock_settings(args.config, token=token, folder=folder, environ=os.environ)
        listener = _listen(args.bind, args.port)
        ready = _announcement(listener.getsockname(), token, as_json=args.json)
        MockServer(Mock(settings), listener, ready, until_eof=args.until_eof).run()
        raise AssertionError("gunicorn ends by SystemExit")
    finally:
        if os.getpid() == owner:  # and not in the worker, which comes by here as well
            shutil.rmtree(folder, ignore_errors=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror}; --port 0 takes a free port"
        ) from error


def _announcement(address: tuple[str, int], token: str, *, as_json: bool) -> Callable[[], None]:
    url = reachable(address)
    if as_json:
        text = json.dumps({"url": url, "token": token})
    else:
        text = (
            f"{greeting(address, token)}\n"
            f"See what came of it:\n\n  curl {url}/_mock/accepted\n  curl {url}/_mock/rejected\n"
            f"  curl -X POST {url}/_mock/reset\n"
        )
    return lambda: print(text, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed is 0 to {_MAX_PORT}")
    return int(text)


def _token(text: str) -> str:
    if not text or ":" in text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError("a token has no spaces, no colon and at least a character")
    return text
