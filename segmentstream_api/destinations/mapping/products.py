"""Products and lines of products, read as leniently as they are written. Called by `ecommerce.py`.

SegmentStream's documentation and what its browser library sent differ: a category is a list or
"A/B", vouchers are a list or "A,B", a product may be its bare id. What has another type is left
out, without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from segmentstream_api.destinations.mapping.envelope import identifier, mapping, number, text

Number = int | float

_CURRENCY_LETTERS = 3  # ISO 4217
_UNDEFINED = "undefined"  # what the browser library sent for a listing without a category
_AMOUNT_DIGITS = 6  # more than any currency has; takes away what binary fractions add


@dataclass(frozen=True, slots=True)
class Product:
    id: str | None = None
    sku: str | None = None
    name: str | None = None
    brand: str | None = None
    categories: tuple[str, ...] = ()
    """From the widest to the narrowest."""

    currency: str | None = None
    price: Number | None = None
    """What one costs now."""

    list_price: Number | None = None
    """What one costs without a discount."""

    voucher: str | None = None

    @property
    def key(self) -> str | None:
        """What the shop knows it by: its id, else its SKU."""
        return self.id or self.sku


@dataclass(frozen=True, slots=True)
class Item:
    """A product in a cart, an order or a list."""

    product: Product
    quantity: Number = 1
    list_id: str | None = None
    list_name: str | None = None
    position: Number | None = None

    @property
    def value(self) -> Number | None:
        price = self.product.price
        return None if price is None else total([price * self.quantity])


def total(values: Iterable[Number]) -> Number:
    """Their sum, without what binary fractions add to it."""
    return round(sum(values), _AMOUNT_DIGITS)


def read_items(found: Any) -> tuple[Item, ...]:
    read = (_item(each) for each in found) if isinstance(found, list) else ()
    return tuple(item for item in read if item is not None)


def _item(found: Any) -> Item | None:
    """None if it says neither which product it is nor what it is called."""
    line = {"product": found} if isinstance(found, str | int) else mapping(found)
    product = _product(line.get("product", line))
    if not (product.key or product.name):
        return None
    quantity = number(line.get("quantity"))
    return Item(
        product=product,
        quantity=1 if quantity is None else quantity,
        list_id=identifier(line.get("listId")),
        list_name=text(line.get("listName")),
        position=number(line.get("position")),
    )


def _product(found: Any) -> Product:
    if not isinstance(found, dict):
        return Product(id=identifier(found))
    list_price = number(found.get("unitPrice"))
    price = number(found.get("unitSalePrice"))
    return Product(
        id=identifier(found.get("id")),
        sku=identifier(found.get("skuCode")),
        name=text(found.get("name")),
        brand=text(found.get("manufacturer")) or text(found.get("brand")),
        categories=read_categories(found.get("category")),
        currency=read_currency(found.get("currency")),
        price=list_price if price is None else price,
        list_price=list_price,
        voucher=read_coupon(found.get("vouchers"), found.get("voucher")),
    )


def read_categories(found: Any) -> tuple[str, ...]:
    parts: Iterable[Any] = found if isinstance(found, list) else (text(found) or "").split("/")
    names = (part.strip() for part in parts if isinstance(part, str))
    return tuple(name for name in names if name and name != _UNDEFINED)


def read_coupon(vouchers: Any, voucher: Any) -> str | None:
    if not isinstance(vouchers, list):
        return text(vouchers) or text(voucher)
    return ",".join(filter(None, map(identifier, vouchers))) or text(voucher)


def read_currency(found: Any) -> str | None:
    code = (text(found) or "").strip().upper()
    known = len(code) == _CURRENCY_LETTERS and code.isascii() and code.isalpha()
    return code if known else None
