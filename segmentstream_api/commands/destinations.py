"""`segmentstream-api destinations`: the types and their settings; and what sets one up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    add_json_option,
    read_settings,
)
from segmentstream_api.commands.table import print_json, print_table, printable
from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.registry import destination_class, load_registry
from segmentstream_api.destinations.settings_table import Setting, settings_of
from segmentstream_api.errors import CommandError, DestinationUnusable

_SETUP = "setup"


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "destinations",
        summary="Show the types of destinations and their settings.",
        description="With the name of a type it shows that type's settings in full.\n\n"
        "`destinations setup NAME` makes what the configured destination NAME needs where its"
        " events go, such as a table, unless it is there. The exit code is 1 if it could not.",
        example="segmentstream-api destinations\nsegmentstream-api destinations postgresql\n"
        "segmentstream-api destinations setup warehouse",
        run=run,
        usage="%(prog)s [options] [TYPE]\n       %(prog)s [options] setup NAME",
    )
    parser.add_argument("words", nargs="*", metavar="TYPE", help="one of the types, or setup NAME")
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    match args.words:
        case []:
            return _list(load_registry(), as_json=args.json)
        case [type_name] if type_name != _SETUP:
            return _show(destination_class(load_registry(), type_name), as_json=args.json)
        case ["setup", name]:
            return _set_up(args, name)
    raise CommandError("it takes nothing, a type, or `setup` and the name of a destination")


def _list(registry: Mapping[str, type[Destination]], *, as_json: bool) -> int:
    if as_json:
        print_json({"types": [_listed(registry[name]) for name in sorted(registry)]})
        return 0
    print_table(
        ("type", "in integrations", "settings (* required)"),
        [
            (name, registry[name].display_name, ", ".join(map(_name, settings_of(registry[name]))))
            for name in sorted(registry)
        ],
    )
    return 0


def _show(shown: type[Destination], *, as_json: bool) -> int:
    if as_json:
        print_json(_listed(shown))
        return 0
    print(printable(f"{shown.type_name}, in `integrations`: {shown.display_name}"), end="\n\n")
    print_table(
        ("setting", "what", "default", "meaning"),
        [
            (each.name, f"{each.kind}{', secret' * each.secret}", each.otherwise, each.description)
            for each in settings_of(shown)
        ],
    )
    return 0


def _set_up(args: argparse.Namespace, name: str) -> int:
    known = {each.name: each for each in read_settings(args).destinations}
    if name not in known:
        raise CommandError(f"{name!r} is no destination; known: {', '.join(known) or 'none'}")
    with closing(known[name].build()) as destination:
        try:
            said, code = destination.setup(), 0
        except DestinationUnusable as error:
            said, code = error.reason, 1
    if args.json:
        print_json({"name": name, "ok": not code, "said": said})
    else:
        print(printable(f"{name}: {said}"), file=sys.stderr if code else sys.stdout)
    return code


def _name(setting: Setting) -> str:
    return f"{setting.name}{'*' * setting.required}"


def _listed(listed: type[Destination]) -> dict[str, Any]:
    return {
        "type": listed.type_name,
        "display_name": listed.display_name,
        "settings": [asdict(setting) for setting in settings_of(listed)],
    }
