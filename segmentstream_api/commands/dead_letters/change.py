"""`dead-letters replay` and `dead-letters drop`: in pages, so that either may be interrupted."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence

from segmentstream_api.commands.arguments import Subparsers, add_command, read_settings
from segmentstream_api.commands.dead_letters.filter import add_options, wanted
from segmentstream_api.commands.open_store import existing_store
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.table import counted, print_json, printable
from segmentstream_api.errors import CommandError, SegmentStreamError
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import DeadLetter, DeadLetterFilter

PAGE_SIZE = 500  # letters in one transaction: a few milliseconds for the requests beside it


def add_parsers(actions: Subparsers) -> None:
    parser = add_command(
        actions,
        "replay",
        summary="Send dead letters again.",
        description="They are due at once, with the idempotency key that they always had; the"
        " running service, or `segmentstream-api deliver`, sends them. Without a filter all of"
        " them are meant, but not those that die while this runs. It may be interrupted: the same"
        " command then goes on with the rest.",
        example="segmentstream-api dead-letters replay --since 3d",
        run=run_replay,
    )
    add_options(parser)
    parser = add_command(
        actions,
        "drop",
        summary="Forget dead letters for good.",
        description="There is no way back, so it asks first. --yes answers; it is needed where"
        " there is no terminal to ask on.",
        example="segmentstream-api dead-letters drop --until 30d",
        run=run_drop,
    )
    parser.add_argument("--all", action="store_true", help="drop all of them, without a filter")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_options(parser)


def run_replay(args: argparse.Namespace) -> int:
    settings = read_settings(args)
    known = [each.name for each in settings.destinations]
    if args.destination not in {None, *known}:
        print(
            f"{printable(args.destination)} is not configured: what is replayed to it waits until"
            f" it is. Configured: {', '.join(known) or 'none'}.",
            file=sys.stderr,
        )
    with existing_store(settings) as store:
        meant = _wanted_by_now(args)
        replayed = in_pages(store, meant, store.replay, "replayed") if store else 0
    return _told("replayed", replayed, as_json=args.json)


def run_drop(args: argparse.Namespace) -> int:
    filtered = wanted(args) != DeadLetterFilter()
    if filtered == args.all:
        raise CommandError("say which dead letters: by filters, or all of them by --all")
    meant = _wanted_by_now(args)
    with existing_store(read_settings(args)) as store:
        if store and not args.yes and not _confirmed(store.count_dead_letters(meant)):
            print("Nothing was dropped.", file=sys.stderr)
            return 1
        dropped = in_pages(store, meant, store.drop, "dropped") if store else 0
    return _told("dropped", dropped, as_json=args.json)


def _wanted_by_now(args: argparse.Namespace) -> DeadLetterFilter:
    """Without those that die from now on: a replay might meet its own ones for ever."""
    now = time.time()
    until = now if args.until is None else min(now, args.until)
    return dataclasses.replace(wanted(args), died_before=until)


def in_pages(
    store: Store,
    meant: DeadLetterFilter,
    change: Callable[[Sequence[DeadLetter]], int],
    word: str,
) -> int:
    """How many were changed; each page is one transaction, and what is done stays done."""
    done = 0
    try:
        with progress(store.count_dead_letters(meant), " letters") as bar:
            while letters := store.dead_letters(meant, PAGE_SIZE):
                done += change(letters)
                bar.update(len(letters))
    except (KeyboardInterrupt, SegmentStreamError):
        print(
            f"{counted(done, 'dead letter')} {word}; the same command goes on with the rest.",
            file=sys.stderr,
        )
        raise
    return done


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("there is no terminal to ask on; say --yes if you are sure")
    print(
        f"Drop {counted(count, 'dead letter')} for good? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _told(word: str, count: int, *, as_json: bool) -> int:
    if as_json:
        print_json({word: count})
    else:
        print(f"{counted(count, 'dead letter')} {word}.")
    return 0
