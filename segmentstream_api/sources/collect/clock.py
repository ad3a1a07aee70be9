"""Whether a visitor's clock can be believed."""

from __future__ import annotations

import re

from segmentstream_api.timestamps import parse_instant

_MAX_SECONDS_OFF = 60  # ours: more than any request takes; the SDK sends at once and keeps nothing
_FAR_YEAR = re.compile(r"[+-][0-9]{6}-")  # JavaScript's form of years before 0 and after 9999


def is_off(sent_at: object, received_at: float) -> bool:
    """Whether `sent_at` names a moment that is no time to send, seen from `received_at`.

    What names no moment is not off: the schema says what is wrong with it.
    """
    if not isinstance(sent_at, str):
        return False
    try:
        sent = parse_instant(sent_at).timestamp()
    except ValueError:
        return bool(_FAR_YEAR.match(sent_at))
    return abs(received_at - sent) > _MAX_SECONDS_OFF
