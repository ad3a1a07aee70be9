"""What Google Analytics 4 takes as names and values, and how ours become that.

Google answers 2xx whatever it is sent and drops what breaks a limit, so everything is made to fit
before it is sent. Sources: the limits and reserved names of
https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events and
…/reference, the longer page parameters of https://support.google.com/analytics/answer/9267744.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from segmentstream_api.destinations.mapping.envelope import MAX_EXACT

MAX_EVENTS = 25
MAX_PARAMS = 25
MAX_USER_PROPERTIES = 25
MAX_ITEMS = 200
"""For each event: https://developers.google.com/analytics/devguides/collection/ga4/reference/events."""

USER_ID_LENGTH = 256
_NAME_LENGTH = 40
_USER_PROPERTY_NAME_LENGTH = 24
_USER_PROPERTY_LENGTH = 36
_PARAM_LENGTH = 100
_PARAM_LENGTHS = {"page_location": 1000, "page_referrer": 420, "page_title": 300}

_RESERVED_PREFIXES = ("firebase_", "ga_", "google_")  # `_` and `gtag.` begin no normalised name
_RESERVED_PARAMS = frozenset({"firebase_conversion"})
_RESERVED_USER_PROPERTIES = frozenset(
    {
        "first_open_after_install",
        "first_open_time",
        "first_visit_time",
        "last_deep_link_referrer",
        "user_id",
    }
)
# The last line is reserved in streams of apps only; in a web stream such an event shows nowhere.
_RESERVED_EVENTS = frozenset(
    """
    ad_activeview ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data
    app_exception app_install app_remove app_store_refund app_update app_upgrade
    dynamic_link_app_open dynamic_link_app_update dynamic_link_first_open error firebase_campaign
    firebase_in_app_message_action firebase_in_app_message_dismiss
    firebase_in_app_message_impression first_open first_visit notification_dismiss
    notification_foreground notification_open notification_receive notification_send os_update
    session_start user_engagement
    ad_impression in_app_purchase screen_view
    """.split()  # noqa: SIM905 - so it can be compared with Google's lists
)
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_]+")


def normalised(name: str, letter: str, length: int = _NAME_LENGTH) -> str:
    """The name with `_` for all that is no ASCII letter or digit, cut to `length`.

    Where it begins with a digit, `letter` and `_` come before it. Empty if nothing is left.
    """
    bare = _FORBIDDEN.sub("_", name).strip("_")
    return (f"{letter}_{bare}" if bare[:1].isdigit() else bare)[:length]


def event_name_problem(name: str) -> str | None:
    """Why Google would drop an event of this normalised name."""
    if not name:
        return "the event's name has no ASCII letter or digit; `rename` can give it another"
    if name in _RESERVED_EVENTS or name.startswith(_RESERVED_PREFIXES):
        return "Google Analytics reserves the event's name for itself; `rename` can change it"
    return None


def params(candidates: Iterable[tuple[str, Any]], most: int = MAX_PARAMS) -> dict[str, Any]:
    """The first `most` that Google would keep; of equal names, the first."""
    fitting: dict[str, Any] = {}
    for candidate, found in candidates:
        if len(fitting) == most:
            break
        name = normalised(candidate, "p")
        value = fitted(found, _PARAM_LENGTHS.get(name, _PARAM_LENGTH))
        reserved = name.startswith(_RESERVED_PREFIXES) or name in _RESERVED_PARAMS
        if name and value is not None and not reserved:
            fitting.setdefault(name, value)
    return fitting


def item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an item that say something."""
    read = {name: fitted(value, _PARAM_LENGTH) for name, value in fields.items()}
    return {name: value for name, value in read.items() if value is not None}


def user_properties(traits: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The first MOST_USER_PROPERTIES traits that Google would keep."""
    fitting: dict[str, dict[str, Any]] = {}
    for trait, found in traits.items():
        if len(fitting) == MAX_USER_PROPERTIES:
            break
        name = normalised(trait, "p", _USER_PROPERTY_NAME_LENGTH)
        value = None if isinstance(found, list) else fitted(found, _USER_PROPERTY_LENGTH)
        reserved = name.startswith(_RESERVED_PREFIXES) or name in _RESERVED_USER_PROPERTIES
        if name and value is not None and not reserved:
            fitting.setdefault(name, {"value": value})
    return fitting


def fitted(value: Any, length: int) -> str | int | float | None:
    """A text cut to `length`, or a number; None for what says nothing or is an object.

    A list of such values becomes one text, with commas. A whole number that other JSON parsers
    would round becomes a text: it is rather an id.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() if abs(value) > MAX_EXACT:
            return str(value)[:length]
        case int() | float():
            return value
        case str():
            return value[:length] or None
        case list():
            parts = (fitted(each, length) for each in value if not isinstance(each, list))
            return ",".join(str(part) for part in parts if part is not None)[:length] or None
    return None
