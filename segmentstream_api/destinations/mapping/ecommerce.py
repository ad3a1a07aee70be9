"""What SegmentStream's e-commerce events mean, whatever the vendor. Called by the adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from segmentstream_api.destinations.mapping.envelope import identifier, mapping, number, text
from segmentstream_api.destinations.mapping.products import (
    Item,
    Number,
    Product,
    read_categories,
    read_coupon,
    read_currency,
    read_items,
    total,
)

_TODAYS_NAMES = {
    "Searched": "Searched Products",
    "Viewed Product Category": "Viewed Product Listing",
}


@dataclass(frozen=True, slots=True)
class Order:
    """A transaction or a cart; all fields are None for neither."""

    id: str | None
    currency: str | None
    total: Number | None
    subtotal: Number | None
    tax: Number | None
    shipping: Number | None
    coupon: str | None
    payment_method: str | None
    affiliation: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    id: str | None
    name: str | None
    query: str | None
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A banner on the site."""

    id: str | None
    name: str | None
    design: str | None
    position: str | None


class Commerce:
    """One event, read as a semantic event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event

    @property
    def name(self) -> str:
        """The name that the event came with; an old name of a semantic event as today's."""
        name = text(self._event.get("name")) or ""
        return _TODAYS_NAMES.get(name, name)

    @cached_property
    def order(self) -> Order:
        order = mapping(self._event.get("transaction")) or mapping(self._event.get("cart"))
        return Order(
            id=identifier(order.get("orderId")),
            currency=read_currency(order.get("currency")),
            total=number(order.get("total")),
            subtotal=number(order.get("subtotal")),
            tax=number(order.get("tax")),
            shipping=number(order.get("shippingCost")),
            coupon=read_coupon(order.get("vouchers"), order.get("voucher")),
            payment_method=text(order.get("paymentMethod")),
            affiliation=text(order.get("affiliation")),
        )

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The products that the event is about: its own, before those of an order or a list."""
        event = self._event
        places = (
            event.get("listItems"),
            [event.get("listItem")],
            event.get("lineItems"),
            mapping(event.get("transaction")).get("lineItems"),
            mapping(event.get("cart")).get("lineItems"),
            mapping(event.get("listing")).get("items"),
        )
        return self._product or next(
            (items for place in places if (items := read_items(place))), ()
        )

    @cached_property
    def listing(self) -> Listing:
        listing = mapping(self._event.get("listing"))
        first = self.items[0] if self.items else Item(Product())
        return Listing(
            id=identifier(listing.get("listId")) or first.list_id,
            name=text(listing.get("listName")) or first.list_name,
            query=text(listing.get("query")),
            categories=read_categories(listing.get("category")),
        )

    @cached_property
    def campaigns(self) -> tuple[Campaign, ...]:
        several = self._event.get("campaigns")
        found = several if isinstance(several, list) else [self._event.get("campaign")]
        return tuple(_campaign(each) for each in found if isinstance(each, dict | str) and each)

    @property
    def currency(self) -> str | None:
        """ISO 4217, of the order, else of the first product that has one, else of the website."""
        of_products = (item.product.currency for item in self.items if item.product.currency)
        website = mapping(self._event.get("website"))
        return (
            self.order.currency or next(of_products, None) or read_currency(website.get("currency"))
        )

    @property
    def value(self) -> Number | None:
        """What it is worth: its product, else the order's total or subtotal, else all items."""
        if not self._product:
            for amount in (self.order.total, self.order.subtotal):
                if amount is not None:
                    return amount
        values = [item.value for item in self.items]
        known = [value for value in values if value is not None]
        return total(known) if known and len(known) == len(values) else None

    @cached_property
    def _product(self) -> tuple[Item, ...]:
        """The event's own product, as a list of one."""
        event = self._event
        return read_items([{"product": event.get("product"), "quantity": event.get("quantity")}])


def _campaign(found: Mapping[str, Any] | str) -> Campaign:
    campaign = {"id": found} if isinstance(found, str) else found
    return Campaign(
        id=identifier(campaign.get("id")),
        name=text(campaign.get("name")),
        design=text(campaign.get("design")),
        position=text(campaign.get("position")),
    )
