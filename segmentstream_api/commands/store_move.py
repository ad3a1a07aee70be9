"""`segmentstream-api store move`: what one store holds goes on in another."""

from __future__ import annotations

import argparse
import math
import os
import sys
from contextlib import closing
from typing import NamedTuple

from segmentstream_api.commands.arguments import Subparsers, add_command, add_json_option
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.table import counted, print_json
from segmentstream_api.config import store_at
from segmentstream_api.errors import CommandError, SegmentStreamError
from segmentstream_api.store.base import Store
from segmentstream_api.store.factory import store_for
from segmentstream_api.store.records import Position

PAGE_SIZE = 200  # records in one transaction: 13 MB at most
_EXIT_USED = 1
_EXAMPLE = "segmentstream-api store move sqlite:///a.db '${STORE_URL}'"


class Moved(NamedTuple):
    """How many records the source had, and how many the target did not know yet."""

    found: int
    taken: int


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "store",
        summary="Move what a store holds into another store.",
        description="A store is what store.url names: a SQLite file or a PostgreSQL database.",
        example=_EXAMPLE,
        usage=None,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    move = add_command(
        actions,
        "move",
        summary="Move events that wait, dead letters and remembered hit ids.",
        description="Whatever is served from FROM, and `segmentstream-api deliver`, must be"
        " stopped first; TO may be served. FROM is left as it was: once this is done, name TO in"
        " store.url and never serve from FROM again, or its events are sent a second time.\n\n"
        "It may be interrupted: the same command then goes on, as long as the hit ids are"
        " remembered that it has moved. What TO knows already is left as it is there, so that"
        " several stores may be moved into one.\n\n"
        "FROM and TO are as store.url; paths are relative to the current folder, and ${NAME} takes"
        " a secret from the environment, so that no list of processes shows it.\n\n"
        "The exit code is 1 if another process has FROM open, and 2 if a store cannot be used.",
        example=_EXAMPLE,
        usage="%(prog)s [options] FROM TO",
        run=run_move,
    )
    move.add_argument("source", metavar="FROM", help="the store that is left")
    move.add_argument("target", metavar="TO", help="the store that goes on, made if need be")
    add_json_option(move)


def run_move(args: argparse.Namespace) -> int:
    places = [
        store_at(url, called=called, environ=os.environ)
        for url, called in ((args.source, "FROM"), (args.target, "TO"))
    ]
    if places[0] == places[1]:
        raise CommandError("FROM and TO are one and the same")
    source, target = (  # nothing is pruned here
        store_for(place, retry_for_seconds=math.inf, dead_letters_for_seconds=math.inf)
        for place in places
    )
    if not source.exists():
        raise CommandError(f"there is no store at {source.place}")
    if _is_used(source):
        return _EXIT_USED
    with closing(source), closing(target):
        target.open()
        moved = move(source, target)
    if _is_used(source):
        return _EXIT_USED
    if args.json:
        print_json({"found": moved.found, "moved": moved.taken})
    else:
        known = moved.found - moved.taken
        print(f"{counted(moved.taken, 'record')} moved, {known} were known there already.")
    return 0


def move(source: Store, target: Store, page_size: int = PAGE_SIZE) -> Moved:
    """Page by page; each is one transaction, and what is moved stays so."""
    found = taken = 0
    after: Position = (0, b"")
    try:
        with progress(source.count_export(), " records", scale=True) as bar:
            while records := source.export(after, page_size):
                taken += target.restore(records)
                found += len(records)
                after = records[-1].position
                bar.update(len(records))
    except (KeyboardInterrupt, SegmentStreamError):
        print(
            f"{counted(taken, 'record')} moved; the same command goes on with the rest.",
            file=sys.stderr,
        )
        raise
    return Moved(found, taken)


def _is_used(source: Store) -> bool:
    who = source.used_by()
    if who is not None:
        print(
            f"{source.place} is in use by {who}. Stop the service, and every"
            " `segmentstream-api deliver`; then give the same command again.",
            file=sys.stderr,
        )
    return who is not None
