"""One envelope → one event of Meta's Conversions API. Called by `facebook_conversions.py`.

Sources: https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/server-event,
…/parameters/custom-data; the standard events' names and parameters from
https://developers.facebook.com/docs/meta-pixel/reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from segmentstream_api.destinations.facebook_conversions.user_data import user_data
from segmentstream_api.destinations.mapping.ecommerce import Commerce
from segmentstream_api.destinations.mapping.envelope import (
    MAX_EXACT,
    Envelope,
    flat,
    mapping,
    number,
    text,
)
from segmentstream_api.destinations.mapping.products import Item, total

MAX_DAYS = 7
MAX_DAYS_IN_STORE = 62
"""How long ago an event may have happened; in a physical store the latter."""

MAX_CONTENTS = 500
"""Ours: an order holds far fewer, and a hostile event of 64 KB must not become 1 MB."""

STANDARD: Mapping[str, str] = MappingProxyType(
    {
        "Added Payment Info": "AddPaymentInfo",
        "Added Product": "AddToCart",
        "Added Product to Wishlist": "AddToWishlist",
        "Completed Transaction": "Purchase",
        "Lead": "Lead",
        "Registered": "CompleteRegistration",
        "Searched Products": "Search",
        "Started Order": "InitiateCheckout",
        "Subscribed": "Lead",  # to a newsletter; Meta's Subscribe is the start of a paid one
        "Viewed Page": "PageView",
        "Viewed Product Detail": "ViewContent",
        "Viewed Product Listing": "ViewContent",
    }
)
"""Event name → Meta's standard event; every other keeps its own name and is a custom event."""


def problem(event: Mapping[str, Any], now: float) -> str | None:
    """Why Meta would refuse a request that holds this event. `now` is Unix time."""
    in_store = event["action_source"] == "physical_store"
    most_days = MAX_DAYS_IN_STORE if in_store else MAX_DAYS
    if now - event["event_time"] > timedelta(days=most_days).total_seconds():
        return f"it happened more than {most_days} days ago: Facebook refuses such events"
    if not event["event_name"]:
        return "the event has no name: Facebook refuses it"
    money = event["custom_data"]
    if event["event_name"] == "Purchase" and not {"value", "currency"} <= money.keys():
        return "a Purchase needs a value and its currency (ISO 4217): Facebook refuses it"
    return None


def facebook_event(
    envelope: Envelope, *, action_source: str, send_properties: bool
) -> dict[str, Any]:
    """One element of `data`. `action_source` is for events that do not come from a browser."""
    commerce = Commerce(envelope.event)
    who, url = user_data(envelope), _page_url(envelope)
    from_browser = url is not None and "client_user_agent" in who
    event: dict[str, Any] = {
        "event_name": _name(envelope, commerce),
        "event_time": int(envelope.happened_at.timestamp()),
        "event_id": envelope.hit_id,
        "action_source": "website" if from_browser else action_source,
        "user_data": who,
        "custom_data": _custom_data(envelope, commerce, send_properties=send_properties),
    }
    return event if url is None else {**event, "event_source_url": url}


def _name(envelope: Envelope, commerce: Commerce) -> str:
    """What `rename` says, else Meta's name, else the event's own."""
    if envelope.name == envelope.event.get("name"):
        return STANDARD.get(commerce.name, envelope.name.strip())
    return envelope.name.strip()


def _page_url(envelope: Envelope) -> str | None:
    pages = (mapping(envelope.event.get("page")), envelope.page)
    urls = (text(page.get("url")) or "" for page in pages)
    return next((url for url in urls if url.startswith(("http://", "https://"))), None)


def _custom_data(
    envelope: Envelope, commerce: Commerce, *, send_properties: bool
) -> dict[str, Any]:
    items = [item for item in commerce.items if item.product.key]
    found: dict[str, Any] = {
        **_worth(envelope, commerce),
        "content_type": "product" if items else None,
        "content_ids": [item.product.key for item in items[:MAX_CONTENTS]],
        "contents": [_content(item) for item in items[:MAX_CONTENTS]],
        "content_name": items[0].product.name if len(items) == 1 else None,
        "content_category": "/".join(_categories(commerce, items)),
        "num_items": total(item.quantity for item in items) if items else None,
        "order_id": commerce.order.id,
        "search_string": commerce.listing.query,
    }
    known = {key: value for key, value in found.items() if value not in (None, "", [])}
    return {**_properties(envelope), **known} if send_properties else known


def _worth(envelope: Envelope, commerce: Commerce) -> dict[str, Any]:
    """What it is worth, with the currency; a number without one means nothing to Meta."""
    value = commerce.value
    if value is None:
        value = number(envelope.event.get("value"))
    known = value is not None and commerce.currency is not None
    return {"value": value, "currency": commerce.currency} if known else {}


def _content(item: Item) -> dict[str, Any]:
    content = {"id": item.product.key, "quantity": item.quantity, "item_price": item.product.price}
    return {key: value for key, value in content.items() if value is not None}


def _categories(commerce: Commerce, items: list[Item]) -> tuple[str, ...]:
    if commerce.listing.categories:
        return commerce.listing.categories
    return items[0].product.categories if len(items) == 1 else ()


def _properties(envelope: Envelope) -> dict[str, Any]:
    """The event's texts, numbers and booleans, nested ones drawn up."""
    found = flat(envelope.properties).items()
    known = {name: value for name, value in found if isinstance(value, str | int | float)}
    return {
        name: str(value) if isinstance(value, int) and abs(value) > MAX_EXACT else value
        for name, value in known.items()
    }
