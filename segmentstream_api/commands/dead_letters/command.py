"""`segmentstream-api dead-letters`: deliveries that were given up, to look at and to send again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    at_least_one,
    read_settings,
)
from segmentstream_api.commands.dead_letters import change as dead_letters_change
from segmentstream_api.commands.dead_letters.filter import add_options, wanted
from segmentstream_api.commands.open_store import existing_store
from segmentstream_api.commands.table import counted, instant, print_json, print_table, printable
from segmentstream_api.store.records import DeadLetter

_TITLES = ("died at", "destination", "event", "hit id", "attempts", "reason")


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "dead-letters",
        summary="List, show, replay or drop deliveries that were given up.",
        description="A delivery becomes a dead letter when its destination refuses the event for"
        " good, or has not taken it for delivery.retry_for_hours. It is kept, with its event, for"
        " delivery.keep_dead_letters_days.",
        example="segmentstream-api dead-letters list\n"
        "segmentstream-api dead-letters replay --destination crm",
        usage=None,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    dead_letters_change.add_parsers(actions)


def _add_list(actions: Subparsers) -> None:
    parser = add_command(
        actions,
        "list",
        summary="List dead letters, the oldest events first.",
        description="Times are in UTC. Without a filter all of them are meant.",
        example="segmentstream-api dead-letters list --since 2h",
        run=run_list,
    )
    _add_limit(parser, 100)
    add_options(parser)


def _add_show(actions: Subparsers) -> None:
    parser = add_command(
        actions,
        "show",
        summary="Show dead letters with the whole event.",
        description="The event is printed as every destination gets it. The exit code is 1 if no"
        " dead letter matches.",
        example="segmentstream-api dead-letters show --id HIT_ID",
        run=run_show,
    )
    _add_limit(parser, 10)
    add_options(parser)


def _add_limit(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--limit",
        metavar="N",
        type=at_least_one,
        default=default,
        help="at most so many (default: %(default)s)",
    )


def run_list(args: argparse.Namespace) -> int:
    letters, count = _found(args)
    if args.json:
        print_json({"count": count, "dead_letters": list(map(_listed, letters))})
        return 0
    if letters:
        print_table(_TITLES, list(map(_row, letters)))
    print(_rest(len(letters), count) or f"{counted(count, 'dead letter')}.")
    return 0


def run_show(args: argparse.Namespace) -> int:
    letters, count = _found(args)
    if args.json:
        shown = [{**_listed(letter), "document": json.loads(letter.body)} for letter in letters]
        print_json({"count": count, "dead_letters": shown})
    else:
        for letter in letters:
            _show(letter)
        print(_rest(len(letters), count) or f"{counted(count, 'dead letter')}.")
    return 0 if letters else 1


def _found(args: argparse.Namespace) -> tuple[Sequence[DeadLetter], int]:
    """The first ones, and how many there are."""
    with existing_store(read_settings(args)) as store:
        if store is None:
            return [], 0
        return store.dead_letters(wanted(args), args.limit), store.count_dead_letters(wanted(args))


def _row(letter: DeadLetter) -> list[str]:
    return [
        instant(letter.died_at),
        letter.destination,
        letter.name,
        letter.hit_id,
        str(letter.attempts),
        letter.reason,
    ]


def _listed(letter: DeadLetter) -> dict[str, Any]:
    return {
        "destination": letter.destination,
        "project": letter.project,
        "event": letter.name,
        "hit_id": letter.hit_id,
        "received_at": instant(letter.received_at),
        "died_at": instant(letter.died_at),
        "attempts": letter.attempts,
        "reason": letter.reason,
    }


def _show(letter: DeadLetter) -> None:
    print(f"destination:  {printable(letter.destination)}")
    print(f"died at:      {instant(letter.died_at)}, after {letter.attempts} attempts")
    print(f"reason:       {printable(letter.reason)}")
    document = json.dumps(json.loads(letter.body), indent=2, ensure_ascii=False)
    print("\n".join(map(printable, document.split("\n"))), end="\n\n")


def _rest(shown: int, count: int) -> str:
    return f"{count - shown} more; --limit {count} shows all." if count > shown else ""
