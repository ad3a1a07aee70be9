"""What the commands' arguments have in common: how help reads, `--config`, `--json`, times."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import textwrap
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

from segmentstream_api.config import DEFAULT_PATH, Settings, load_settings
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.timestamps import parse_instant

PROGRAM = "segmentstream-api"
EXIT_INTERRUPTED = 130  # what a shell reports for SIGINT
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name

_WIDEST_HELP = 80  # columns; longer lines are hard to read
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs to the terminal and leaves indented ones, such as examples, as they are.

    Commands stand side by side with the options, without a line for the word COMMAND.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        columns = min(shutil.get_terminal_size().columns, _WIDEST_HELP)
        super().__init__(prog, **{"width": columns - 2, "max_help_position": 22, **options})

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if action.nargs == argparse.PARSER else text

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action]:
        yield from getattr(action, "_get_subactions", list)()

    def _fill_text(self, text: str, width: int, _indent: str) -> str:
        return "\n\n".join(
            paragraph if paragraph.startswith(" ") else textwrap.fill(paragraph, width)
            for paragraph in text.split("\n\n")
        )


def add_command(
    subparsers: Subparsers,
    name: str,
    *,
    summary: str,
    description: str,
    example: str,
    run: Callable[[argparse.Namespace], int] | None = None,
    usage: str | None = "%(prog)s [options]",
) -> argparse.ArgumentParser:
    """The parser of one command. Paragraphs of `description` are divided by blank lines."""
    parser = subparsers.add_parser(
        name,
        usage=usage,
        help=summary[0].lower() + summary[1:].rstrip("."),
        description=f"{summary}\n\n{description}",
        epilog=f"Example:\n\n{textwrap.indent(example, '  ')}",
        formatter_class=HelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"the configuration (default: $SEGMENTSTREAM_CONFIG, or {DEFAULT_PATH})",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def config_path(args: argparse.Namespace) -> Path:
    return args.config or Path(os.environ.get("SEGMENTSTREAM_CONFIG") or DEFAULT_PATH)


def read_settings(args: argparse.Namespace) -> Settings:
    """The settings in the file that `--config` means. Raises ConfigError."""
    return load_settings(config_path(args), environ=os.environ, registry=load_registry())


def moment(text: str) -> float:
    """Unix seconds of an ISO 8601 date or date-time, or of so long ago as `90m`, `2h`, `3d`."""
    duration = _DURATION.fullmatch(text)
    if duration:
        return time.time() - int(duration[1]) * _SECONDS[duration[2]]
    try:
        return parse_instant(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2h, 3d, 2019-02-21 or 2019-02-21T10:56:10Z (UTC)"
        ) from None


def at_least_one(text: str) -> int:
    """A whole number of 1 or more."""
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)
