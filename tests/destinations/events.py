"""The events that every adapter's tests send: usual, anonymous, a purchase, and a hostile one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segmentstream_api.destinations.base import Delivery
from segmentstream_api.event.event import new_event

CASES = Path(__file__).parents[1] / "cases" / "track" / "valid"
RECEIVED_AT = 1_770_000_000.0
RECEIVED_AT_TEXT = "2026-02-02T02:40:00.000Z"
HIT_ID = "7f3c9a52-1d0e-4b7a-9c11-5a2f6e8d4b30"  # of an event that came without one
LARGEST_BODY_BYTES = 65_536


def delivered(
    document: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Delivery:
    """The document on its way to a destination, as it was accepted at RECEIVED_AT."""
    event = new_event("shop", document, received_at=RECEIVED_AT, new_hit_id=lambda: HIT_ID)
    return Delivery(event.key.hex(), event.body, options or {}, rename or {})


def documented(**more: Any) -> Delivery:
    """The example of the API's own page."""
    return delivered(_case("documented-example") | more)


def anonymous() -> Delivery:
    """Neither `userId` nor `hitId` nor `sentAt`."""
    return delivered(_case("anonymous-only"))


def purchase() -> Delivery:
    return delivered(_case("completed-transaction"))


def with_context() -> Delivery:
    """A context with everything that is described."""
    return delivered(_case("whole-context"))


def numbered(count: int) -> list[Delivery]:
    """Small events of different users; the first one is number 0."""
    return [
        delivered({"hitId": f"hit-{n}", "event": {"name": "Seen", "user": {"userId": f"user-{n}"}}})
        for n in range(count)
    ]


def named(name: Any, **user: Any) -> Delivery:
    """An event with this name, of this user or of somebody."""
    return delivered({"hitId": "h", "event": {"name": name, "user": user or {"userId": "u-1"}}})


def hostile(size: int = LARGEST_BODY_BYTES) -> Delivery:
    """What makes systems stumble, in every place, in an envelope of `size` bytes."""
    nested: Any = {"end": [1, "two", None]}
    for level in range(57):
        nested = {f"level {level}": nested}
    document: dict[str, Any] = {
        "hitId": "№ 1 / '\"\\ 🚀 " + "x" * 200,
        "sentAt": "2026-02-02T02:39:59.123456Z",
        "event": {
            "name": "Größe gewählt 🛒",
            "user": {
                "userId": "'; DROP TABLE events; -- \u0000 🙂",
                "anonymousId": 17,
                "emails": [],
            },
            "nested": nested,
            "huge": [10**300, -(10**30), 1.7976931348623157e308, 5e-324, 2**53 + 1],
            "odd keys": {"": 1, ".": 2, "$set": 3, "a.b": {"c": 4}, "\u2028": 5},
            "time": "not the time",
            "distinct_id": "nobody",
            "token": "not-the-token",
            "batch": [],
            "null": None,
            "label": "",
        },
        "context": {"ip": "::1%0", "page": "not an object", "userAgent": 5, "campaign": ["x"]},
        "integrations": {"All": True},
    }
    document["event"]["label"] = "y" * (size - len(delivered(document).body))
    return delivered(document)


def _case(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text("utf-8"))["document"]
    return document
