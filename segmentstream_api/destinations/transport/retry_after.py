"""Reads `Retry-After` headers. Used by `sender.py`."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_CAP_SECONDS = 3600.0
"""A destination that asks for more is asked again after an hour: it may have erred or be back."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds from `now` (Unix time), at most RETRY_AFTER_CAP_SECONDS; None if it says nothing.

    Source: RFC 9110 §10.2.3 (seconds or a date), §5.6.7 (the three forms of a date). Some servers
    send fractions of a second; they are taken. Garbage and the past say nothing.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), RETRY_AFTER_CAP_SECONDS)
    seconds = _seconds_until(text, now)
    if seconds is None or seconds < 0:
        return None
    return min(seconds, RETRY_AFTER_CAP_SECONDS)


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        if moment.tzinfo is None:  # the asctime form names no zone: it is UTC
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now
    except (ValueError, OverflowError):  # the latter for a day or year of 30 digits
        return None
