"""The command line, `segmentstream-api`: the tree of commands. Each has its file in `commands/`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from segmentstream_api.commands import (
    check,
    deliver,
    destinations,
    init,
    mock,
    send,
    serve,
    status,
    token,
)
from segmentstream_api.commands import store_move as store
from segmentstream_api.commands.arguments import EXIT_INTERRUPTED, PROGRAM, HelpFormatter
from segmentstream_api.commands.dead_letters import command as dead_letters
from segmentstream_api.commands.importing import command as import_
from segmentstream_api.commands.table import printable
from segmentstream_api.commands.validating import command as validate
from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.version import package_version

COMMANDS = (
    init,
    serve,
    check,
    send,
    validate,
    import_,
    token,
    mock,
    status,
    dead_letters,
    deliver,
    store,
    destinations,
)

EXIT_USAGE = 2
_EXIT_BROKEN_PIPE = 141  # what a shell reports for SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 good, 1 the check failed, 2 usage or configuration.

    `argv` is `sys.argv[1:]` unless given. argparse ends `--help` and wrong usage by SystemExit.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale may not know every character
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except SegmentStreamError as error:
        _complain(str(error))
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # as with `… | head`: nobody wants the rest
        _forget_output()
        return _EXIT_BROKEN_PIPE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror}")
        _forget_output()
        return EXIT_USAGE


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The SegmentStream HTTP Tracking API on a machine of your own: takes events"
        " at POST /track and delivers each of them to your destinations.\n\n"
        f"`{PROGRAM} COMMAND --help` explains a command.",
        epilog=f"Example:\n\n  {PROGRAM} init\n  {PROGRAM} serve",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {package_version()}",
        help="show the version and exit",
    )
    parser.set_defaults(takes_more=False)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    given = sys.argv[1:] if argv is None else argv
    if not given:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    args, more = parser.parse_known_args(given)
    if more and not args.takes_more:
        args.parser.error(f"unrecognized arguments: {' '.join(more)}")
    args.more = more
    code: int = args.run(args)
    return code


def _complain(message: str) -> None:
    text = "\n".join(map(printable, message.splitlines()))
    print(f"{PROGRAM}: {text}", file=sys.stderr)


def _forget_output() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
