"""`segmentstream-api status`: what waits for each destination, and how it is doing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    add_json_option,
    read_settings,
)
from segmentstream_api.commands.open_store import existing_store
from segmentstream_api.commands.table import instant, print_json, print_table
from segmentstream_api.store.records import DestinationStats

_TITLES = ("destination", "type", "waiting", "oldest", "dead", "breaker", "last error")
_LEGEND = """\
  waiting     events that it does not have yet
  oldest      how long the first of them has waited
  dead        deliveries given up; see dead-letters
  breaker     open while it fails and is left alone
  last error  what went wrong, and how long ago"""
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "status",
        summary="Show what waits for each destination.",
        description=f"{_LEGEND}\n\nThe service may be running or not. A destination that is"
        " not configured any more is shown while something is left of it.",
        example="segmentstream-api status",
        run=run,
    )
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    settings = read_settings(args)
    with existing_store(settings) as store:
        found: Mapping[str, DestinationStats] = store.stats() if store else {}
    types = {each.name: each.cls.type_name for each in settings.destinations}
    now = time.time()
    states = [
        (name, types.get(name), found.get(name, DestinationStats()))
        for name in dict.fromkeys([*types, *found])
    ]
    if args.json:
        print_json({"destinations": [_listed(*state, now) for state in states]})
    elif states:
        print_table(_TITLES, [_row(*state, now) for state in states])
    else:
        print("There are no destinations.")
    return 0


def _row(name: str, type_name: str | None, stats: DestinationStats, now: float) -> list[str]:
    state = stats.state
    oldest = stats.oldest_received_at
    error = state.last_error or "-"
    if state.last_error_at is not None:
        error = f"{error} ({_age(now - state.last_error_at)} ago)"
    return [
        name,
        type_name or "not configured",
        str(stats.waiting),
        "-" if oldest is None else _age(now - oldest),
        str(stats.dead),
        state.breaker,
        error,
    ]


def _listed(
    name: str, type_name: str | None, stats: DestinationStats, now: float
) -> dict[str, Any]:
    state = stats.state
    oldest = stats.oldest_received_at
    return {
        "name": name,
        "type": type_name,
        "configured": type_name is not None,
        "waiting": stats.waiting,
        "oldest_received_at": _instant(oldest),
        "oldest_age_seconds": None if oldest is None else round(max(0.0, now - oldest), 3),
        "dead": stats.dead,
        "breaker": state.breaker,
        "breaker_since": _instant(state.since),
        "last_error": state.last_error,
        "last_error_at": _instant(state.last_error_at),
    }


def _age(seconds: float) -> str:
    """In the largest unit that fits at least once: 45 s, 3 min, 2 h, 5 d."""
    for unit_seconds, unit in _UNITS:
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return "0 s"


def _instant(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else instant(unix_seconds)
