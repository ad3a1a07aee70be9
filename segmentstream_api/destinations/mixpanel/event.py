"""A delivery as Mixpanel's event. Called by `mixpanel.py`, which names the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from segmentstream_api.destinations.base import Delivery, Rejected
from segmentstream_api.destinations.mapping.envelope import Envelope, milliseconds
from segmentstream_api.destinations.mapping.web_properties import web_properties
from segmentstream_api.destinations.transport.json import encoded

MAX_EVENT_BYTES = 1_000_000
MAX_PROPERTIES = 254  # "fewer than 255", of an event and of an object in a list
MAX_ELEMENTS = 254  # "fewer than 255"
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)

REFUSED_IDS = frozenset(
    {
        "-1",
        "0",
        "00000000-0000-0000-0000-000000000000",
        "<nil>",
        "[]",
        "anon",
        "anonymous",
        "false",
        "n/a",
        "na",
        "nil",
        "none",
        "null",
        "true",
        "undefined",
        "unknown",
        "{}",
    }
)
"""In lower case."""

Properties = dict[str, Any]


class _TooManyError(Exception):
    """Its text is the rule that the event breaks."""


def mixpanel_event(delivery: Delivery) -> dict[str, Any] | Rejected:
    """The event, or which of Mixpanel's rules it breaks."""
    envelope = Envelope(delivery)
    ids = {"$user_id": envelope.user_id, "$device_id": envelope.anonymous_id}
    ids = {name: id_ for name, id_ in ids.items() if id_ and id_.lower() not in REFUSED_IDS}
    if not envelope.name:
        return Rejected("event.name is missing: Mixpanel requires it")
    if not ids:
        return Rejected("userId and anonymousId are among the ids that Mixpanel refuses")
    if envelope.happened_at < EARLIEST:
        return Rejected("sentAt is before 1971: Mixpanel refuses it")
    try:
        properties = {
            **_flat(envelope.properties),
            **web_properties(envelope.context),
            **ids,
            "distinct_id": next(iter(ids.values())),
            "$insert_id": delivery.key,
            "time": milliseconds(envelope.happened_at),
            "ip": envelope.ip or "0",  # without it Mixpanel locates this service
        }
    except _TooManyError as error:
        return Rejected(str(error))
    if len(properties) > MAX_PROPERTIES:
        return Rejected(f"more than {MAX_PROPERTIES} properties: Mixpanel refuses the event")
    return {"event": envelope.name, "properties": properties}


def _flat(properties: Mapping[str, Any]) -> Properties:
    """One level: `{"a": {"b": [{"c": {"d": 1}}]}}` becomes `{"a.b": [{"c.d": 1}]}`.

    That is Mixpanel's "list of objects", and well within its three levels. Lists in lists become
    JSON text. Raises _TooManyError before much is made of little: names grow with each level.
    """
    return {name: _value(value) for name, value in _bounded(properties).items()}


def _value(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) > MAX_ELEMENTS:
        raise _TooManyError(f"a list of more than {MAX_ELEMENTS}: Mixpanel refuses the event")
    return [_element(element) for element in value]


def _element(element: Any) -> Any:
    if isinstance(element, dict):
        return {name: _text_of_list(value) for name, value in _bounded(element).items()}
    return _text_of_list(element)


def _text_of_list(value: Any) -> Any:
    return encoded(value).decode() if isinstance(value, list) else value


def _bounded(properties: Mapping[str, Any]) -> Properties:
    flat = dict(islice(_leaves(properties), MAX_PROPERTIES + 1))
    if len(flat) > MAX_PROPERTIES:
        raise _TooManyError(f"more than {MAX_PROPERTIES} properties: Mixpanel refuses the event")
    return flat


def _leaves(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in properties.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
