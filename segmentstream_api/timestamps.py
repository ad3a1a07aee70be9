"""Points in time as the wire writes them. Called by the schema check and by `event.py`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


def parse_instant(text: str) -> datetime:
    """The moment that an ISO 8601 date or date-time names, in UTC; without an offset it is UTC.

    Raises ValueError if there is no such moment, also where it leaves the years 1–9999 in UTC.
    """
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"outside the years 1 to 9999 in UTC: {error}") from error


def format_instant(moment: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, to the millisecond, or to the microsecond if there are any."""
    precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def canonical_instant(text: str) -> str:
    """`text`, which `parse_instant` takes, in the form of `format_instant`."""
    return text if _CANONICAL.fullmatch(text) else format_instant(parse_instant(text))
