"""`segmentstream-api serve`: becomes gunicorn, with the settings in gunicorn.conf.py."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    config_path,
)
from segmentstream_api.errors import CommandError

_PACKAGE = Path(__file__).parents[1]


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "serve",
        summary="Start the service.",
        description="It runs under gunicorn, in the foreground, on http://127.0.0.1:8000 unless"
        " told otherwise. Stop it with Ctrl-C or SIGTERM; SIGHUP makes it read its configuration"
        " again without refusing a request.\n\n"
        "All other options go to gunicorn, such as --bind ADDRESS:PORT and --workers NUMBER;"
        " `python -m gunicorn --help` lists them.",
        example="segmentstream-api serve\nsegmentstream-api serve --bind 127.0.0.1:9000",
        run=run,
        usage="%(prog)s [options] [gunicorn options]",
    )
    add_config_option(parser)
    parser.set_defaults(takes_more=True)


def run(args: argparse.Namespace) -> int:
    """Never returns: this process becomes gunicorn, which then gets the signals."""
    if args.more and not args.more[0].startswith("-"):
        raise CommandError(
            f"{args.more[0]!r} is no option of gunicorn; --config FILE names a configuration"
        )
    os.environ["SEGMENTSTREAM_CONFIG"] = str(config_path(args).absolute())  # gunicorn may chdir
    os.environ.setdefault("SEGMENTSTREAM_HELLO", "1")  # empty in the unit: a journal needs none
    command = [sys.executable, "-m", "gunicorn", "-c", str(gunicorn_settings()), *args.more]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


def gunicorn_settings(package: Path = _PACKAGE) -> Path:
    """gunicorn.conf.py: inside an installed package, or at the top of a checkout."""
    installed = package / "data" / "gunicorn.conf.py"
    return installed if installed.is_file() else package.parent / "gunicorn.conf.py"
