"""A delivery as Amplitude's event. Called by `amplitude.py`, which names the sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.destinations.base import Delivery, Rejected
from segmentstream_api.destinations.mapping.ecommerce import Commerce
from segmentstream_api.destinations.mapping.envelope import Envelope, mapping, milliseconds, text
from segmentstream_api.destinations.transport.json import encoded

MAX_LEVELS = 40
"""How deep objects and arrays may lie in each other."""

REFUSED_IDS = frozenset(
    {
        "-1",
        "0",
        "00000000-0000-0000-0000-000000000000",
        "anonymous",
        "lmy47d",
        "n/a",
        "na",
        "nil",
        "none",
        "null",
        "undefined",
        "unknown",
        "{}",
    }
)
"""In lower case."""

# Where else an event says it: Amplitude's field → section and field of its context.
_CONTEXT = {
    "os_name": ("os", "name"),
    "os_version": ("os", "version"),
    "device_manufacturer": ("device", "vendor"),
    "device_model": ("device", "model"),
}


def amplitude_event(delivery: Delivery) -> dict[str, Any] | Rejected:
    """The event, or which of Amplitude's rules it breaks."""
    envelope = Envelope(delivery)
    ids = {"user_id": envelope.user_id, "device_id": envelope.anonymous_id}
    ids = {name: id_ for name, id_ in ids.items() if id_ and id_.lower() not in REFUSED_IDS}
    if not envelope.name:
        return Rejected("event.name is missing: Amplitude's event_type is required")
    if not ids:
        return Rejected("userId and anonymousId are among the ids that Amplitude refuses")
    return {
        **ids,
        "event_type": envelope.name,
        "time": milliseconds(envelope.sent_at),
        "insert_id": delivery.key,
        "event_properties": _shallow(envelope.properties, MAX_LEVELS),
        **({"user_properties": _shallow(envelope.traits, MAX_LEVELS)} if envelope.traits else {}),
        **({"ip": envelope.ip} if envelope.ip else {}),
        **_from_context(envelope.context),
        **_revenue(envelope.event),
    }


def _from_context(context: Mapping[str, Any]) -> dict[str, str]:
    found = {"language": text(context.get("locale"))}
    for name, (section, field) in _CONTEXT.items():
        found[name] = text(mapping(context.get(section)).get(field))
    return {name: value for name, value in found.items() if value is not None}


def _revenue(event: Mapping[str, Any]) -> dict[str, int | float]:
    """What a purchase brought, or a refund took: negative, whichever sign the client gave it."""
    commerce = Commerce(event)
    if commerce.value is None:
        return {}
    match commerce.name:
        case "Completed Transaction":
            return {"revenue": commerce.value}
        case "Refunded Transaction":
            return {"revenue": -abs(commerce.value)}
        case _:
            return {}


def _shallow(value: Any, levels: int) -> Any:
    """The value, with what lies deeper than `levels` as JSON text."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return encoded(value).decode()
    if isinstance(value, dict):
        return {key: _shallow(inner, levels - 1) for key, inner in value.items()}
    return [_shallow(inner, levels - 1) for inner in value]
