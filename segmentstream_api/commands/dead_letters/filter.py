"""Which dead letters a command means: its options, and the filter that they come to."""

from __future__ import annotations

import argparse

from segmentstream_api.commands.arguments import add_config_option, add_json_option, moment
from segmentstream_api.store.records import DeadLetterFilter


def add_options(parser: argparse.ArgumentParser) -> None:
    """The filters, and what every action takes besides."""
    filters = parser.add_argument_group("filters")
    filters.add_argument("--destination", metavar="NAME", help="of this destination")
    filters.add_argument("--event", metavar="NAME", help="of events with this name")
    filters.add_argument("--id", metavar="HIT_ID", help="of the event with this hitId")
    filters.add_argument(
        "--since", metavar="TIME", type=moment, help="died since: 2h (ago), 3d, or ISO 8601 (UTC)"
    )
    filters.add_argument("--until", metavar="TIME", type=moment, help="died before that")
    add_config_option(parser)
    add_json_option(parser)


def wanted(args: argparse.Namespace) -> DeadLetterFilter:
    return DeadLetterFilter(
        destination=args.destination,
        name=args.event,
        hit_id=args.id,
        died_after=args.since,
        died_before=args.until,
    )
