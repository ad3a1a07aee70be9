"""When a call happened, by the clocks of the client and of this service.

Segment moves every event by the time between writing and receiving the call, so the network's
delay ends up in the data. Here a clock is corrected only where it is wrong by more than a minute,
and only where `sentAt` was written as the request was sent. SDKs on servers are left alone: their
clocks are kept right by their hosts, and mobile ones write `sentAt` when a batch is closed, hours
before it is sent.
Source of the formula: https://segment.com/docs/connections/spec/common/#timestamps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from segmentstream_api.timestamps import format_instant, parse_instant

MAX_CLOCK_ERROR = timedelta(seconds=60)


def moment(value: Any) -> datetime | None:
    """What a text in ISO 8601 names; None for anything else."""
    try:
        return parse_instant(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def happened_at(
    call: Mapping[str, Any], *, sent_at: Any, received_at: float, is_browser: bool
) -> str:
    """The event's time as a document has it, never later than it was received."""
    received = datetime.fromtimestamp(round(received_at, 3), UTC)
    original = moment(call.get("originalTimestamp")) or moment(call.get("timestamp"))
    if original is None:
        return format_instant(received)
    sent = moment(sent_at)
    if sent is not None:
        ahead = sent - received
        if ahead > MAX_CLOCK_ERROR or (is_browser and -ahead > MAX_CLOCK_ERROR):
            original = _shifted(original, -ahead, received)
    return format_instant(min(original, received))


def _shifted(original: datetime, by: timedelta, received: datetime) -> datetime:
    try:
        return original + by
    except OverflowError:  # outside the years 1 to 9999
        return received
