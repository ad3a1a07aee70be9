"""SegmentStream's semantic events as the events that Google Analytics 4 recommends.

Source of the names and their parameters:
https://developers.google.com/analytics/devguides/collection/ga4/reference/events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from segmentstream_api.destinations.google_analytics.limits import MAX_ITEMS, item
from segmentstream_api.destinations.mapping.ecommerce import Commerce
from segmentstream_api.destinations.mapping.products import Item, Product, total

Params = Mapping[str, Any]
_CATEGORY_NAMES = tuple(f"item_category{level}" for level in ("", "2", "3", "4", "5"))


def _worth(commerce: Commerce) -> Params:
    """`value` counts only with `currency`."""
    currency, value = commerce.currency, commerce.value
    return {"currency": currency, "value": None if currency is None else value}


def _items(commerce: Commerce) -> Params:
    items = [read for each in commerce.items[:MAX_ITEMS] if (read := _item(each))]
    return {"items": items or None}


def _item(line: Item) -> dict[str, Any]:
    product = line.product
    return item(
        {
            "item_id": product.key,
            "item_name": product.name,
            "item_brand": product.brand,
            "item_variant": product.sku if product.id else None,
            **dict(zip(_CATEGORY_NAMES, product.categories, strict=False)),
            "price": product.price,
            "discount": _discount(product),
            "quantity": line.quantity,
            "coupon": product.voucher,
            "index": line.position,
        }
    )


def _discount(product: Product) -> int | float | None:
    if product.price is None or product.list_price is None:
        return None
    discount = total([product.list_price, -product.price])
    return discount if discount > 0 else None


def _products(commerce: Commerce) -> list[Params]:
    return [{**_worth(commerce), **_items(commerce)}]


def _listed(commerce: Commerce) -> list[Params]:
    listing = commerce.listing
    return [
        {"item_list_id": listing.id, "item_list_name": listing.name, **_items(commerce)},
    ]


def _searched(commerce: Commerce) -> list[Params]:
    return [{"search_term": commerce.listing.query}]


def _ordered(commerce: Commerce) -> list[Params]:
    order = commerce.order
    return [
        {
            "transaction_id": order.id,
            **_worth(commerce),
            "tax": order.tax,
            "shipping": order.shipping,
            "coupon": order.coupon,
            "affiliation": order.affiliation,
            **_items(commerce),
        }
    ]


def _checked_out(commerce: Commerce) -> list[Params]:
    order = commerce.order
    payment = {"payment_type": order.payment_method}
    return [{**_worth(commerce), "coupon": order.coupon, **payment, **_items(commerce)}]


def _promoted(commerce: Commerce) -> list[Params]:
    """One event for each campaign: Google has room for one promotion in an event."""
    return [
        {
            "promotion_id": campaign.id,
            "promotion_name": campaign.name,
            "creative_name": campaign.design,
            "creative_slot": campaign.position,
        }
        for campaign in commerce.campaigns
    ]


def _plain(_: Commerce) -> list[Params]:
    return [{}]


SEMANTIC: Mapping[str, tuple[str, Callable[[Commerce], Sequence[Params]]]] = MappingProxyType(
    {
        "Added Payment Info": ("add_payment_info", _checked_out),
        "Added Product": ("add_to_cart", _products),
        "Added Product to Wishlist": ("add_to_wishlist", _products),
        "Clicked Campaign": ("select_promotion", _promoted),
        "Clicked Product": ("select_item", _listed),
        "Completed Transaction": ("purchase", _ordered),
        "Lead": ("generate_lead", _plain),
        "Logged In": ("login", _plain),
        "Refunded Transaction": ("refund", _ordered),
        "Registered": ("sign_up", _plain),
        "Removed Product": ("remove_from_cart", _products),
        "Searched Products": ("search", _searched),
        "Started Order": ("begin_checkout", _checked_out),
        "Viewed Campaign": ("view_promotion", _promoted),
        "Viewed Cart": ("view_cart", _products),
        "Viewed Page": ("page_view", _plain),
        "Viewed Product": ("view_item_list", _listed),
        "Viewed Product Detail": ("view_item", _products),
        "Viewed Product Listing": ("view_item_list", _listed),
    }
)
"""Event name → Google's name, and the parameters of each event that comes of it."""

MAPPED_PROPERTIES = frozenset(
    {
        "campaign",
        "campaigns",
        "cart",
        "lineItems",
        "listItem",
        "listItems",
        "listing",
        "product",
        "quantity",
        "transaction",
    }
)
"""What the parameters above are made of; in a semantic event it is not sent a second time."""
