"""One envelope → the body of a Measurement Protocol request. Called by `google_analytics.py`.

Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from segmentstream_api.destinations.google_analytics.events import MAPPED_PROPERTIES, SEMANTIC
from segmentstream_api.destinations.google_analytics.limits import (
    MAX_EVENTS,
    MAX_PARAMS,
    USER_ID_LENGTH,
    event_name_problem,
    normalised,
    params,
    user_properties,
)
from segmentstream_api.destinations.mapping.ecommerce import Commerce
from segmentstream_api.destinations.mapping.envelope import Envelope, flat, mapping, number, text

MAX_HOURS = 72
"""How long ago an event may have happened: …/protocol/ga4/reference, `timestamp_micros`."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_COOKIE = re.compile(r"GA[0-9]\.[0-9]+\.(?=[0-9]+\.[0-9]+$)")  # how the cookie _ga writes it
_SESSION_ID = re.compile(r"[0-9]{1,40}")
# Google reads parameters of these names as the source of the traffic, or has none of its own.
_PREFIXED = ("category", "label", "action", "source", "medium", "term", "content")
_NAMED_LISTS = ("customDimensions", "customMetrics")
# Google forbids data that identifies a person: https://support.google.com/analytics/answer/6366371.
_IDENTIFYING = frozenset(
    {
        "birthDate",
        "email",
        "emailHash",
        "emails",
        "firstName",
        "googleClientId",
        "lastName",
        "phone",
        "phones",
    }
)


def problem(envelope: Envelope, now: float) -> str | None:
    """Why Google would drop the event. `now` is Unix time."""
    if now - envelope.happened_at.timestamp() > timedelta(hours=MAX_HOURS).total_seconds():
        return f"it happened more than {MAX_HOURS} h ago: Google Analytics drops such events"
    return event_name_problem(_name(envelope, Commerce(envelope.event)))


def body(envelope: Envelope, *, send_ip: bool, send_user_properties: bool) -> dict[str, Any]:
    """The request's body for an event without a `problem`."""
    user_id = envelope.user_id
    found = {
        "client_id": client_id(envelope),
        "user_id": user_id if user_id and len(user_id) <= USER_ID_LENGTH else None,
        "timestamp_micros": (envelope.happened_at - _EPOCH) // timedelta(microseconds=1),
        "user_properties": _user_properties(envelope) if send_user_properties else None,
        "ip_override": envelope.ip if send_ip else None,
        "user_agent": envelope.user_agent,
        "events": _events(envelope),
    }
    return {key: value for key, value in found.items() if value}


def client_id(envelope: Envelope) -> str:
    """The given one, else two numbers that are always made of the anonymous id or the user id."""
    given = text(envelope.options.get("clientId")) or text(envelope.user.get("googleClientId"))
    if given:
        return _COOKIE.sub("", given)
    digest = hashlib.sha256((envelope.anonymous_id or envelope.distinct_id).encode()).digest()
    return ".".join(str(int.from_bytes(part) or 1) for part in (digest[:4], digest[4:8]))


def _name(envelope: Envelope, commerce: Commerce) -> str:
    """What `rename` says, else what Google recommends, else the event's own name."""
    if envelope.name == envelope.event.get("name") and commerce.name in SEMANTIC:
        return SEMANTIC[commerce.name][0]
    return normalised(envelope.name, "e")


def _events(envelope: Envelope) -> list[dict[str, Any]]:
    commerce = Commerce(envelope.event)
    name = _name(envelope, commerce)
    _, mapped = SEMANTIC.get(commerce.name, (None, None))
    variants = (mapped(commerce) if mapped else ()) or [{}]
    others = list(chain(_session(envelope), _page(envelope), _properties(envelope, commerce)))
    return [
        {"name": name, "params": _items_and_params({**variant}, others)}
        for variant in variants[:MAX_EVENTS]
    ]


def _items_and_params(mapped: dict[str, Any], others: list[tuple[str, Any]]) -> dict[str, Any]:
    items = mapped.pop("items", None)
    if not items:
        return params([*mapped.items(), *others])
    return {**params([*mapped.items(), *others], MAX_PARAMS - 1), "items": items}


def _session(envelope: Envelope) -> Iterator[tuple[str, Any]]:
    """Without these Google's realtime report shows no activity."""
    options = envelope.options
    session_id = str(options.get("sessionId"))
    engagement = number(options.get("engagementTimeMsec"))
    yield "session_id", session_id if _SESSION_ID.fullmatch(session_id) else None
    yield "engagement_time_msec", 1 if engagement is None or engagement < 0 else engagement


def _page(envelope: Envelope) -> Iterator[tuple[str, Any]]:
    for page in (mapping(envelope.event.get("page")), envelope.page):
        yield "page_location", text(page.get("url"))
        yield "page_title", text(page.get("title"))
        yield "page_referrer", text(page.get("referrer"))


def _properties(envelope: Envelope, commerce: Commerce) -> Iterator[tuple[str, Any]]:
    """The event's other properties: first those with a meaning, then the named ones, then all."""
    properties = envelope.properties
    for name in _PREFIXED:
        yield f"event_{name}", properties.pop(name, None)
    yield from _weight(properties.pop("value", None), commerce)
    yield "non_interaction", properties.pop("nonInteraction", None) is True or None
    for name in _NAMED_LISTS:
        yield from _named(properties.pop(name, None))
    if commerce.name not in SEMANTIC:
        for campaign in commerce.campaigns[:1]:
            yield "promotion_id", campaign.id
            yield "promotion_name", campaign.name
    taken = MAPPED_PROPERTIES if commerce.name in SEMANTIC else {"campaign", "campaigns"}
    yield from flat({key: value for key, value in properties.items() if key not in taken}).items()


def _weight(value: Any, commerce: Commerce) -> Iterator[tuple[str, Any]]:
    """Google takes `value` for money, which it counts only with its currency."""
    if value is None or commerce.currency is None:
        yield "event_value", value
    else:
        yield "value", number(value)
        yield "currency", commerce.currency


def _named(found: Any) -> Iterator[tuple[str, Any]]:
    """`[{"name": "tier", "value": "gold"}]`."""
    for each in found if isinstance(found, list) else ():
        named = mapping(each)
        yield text(named.get("name")) or "", named.get("value")


def _user_properties(envelope: Envelope) -> Mapping[str, Any]:
    kept = {key: value for key, value in envelope.traits.items() if key not in _IDENTIFYING}
    return user_properties(kept)
