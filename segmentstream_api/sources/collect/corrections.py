"""What the JavaScript SDK writes differently from the event types, put as they have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNDEFINED = "undefined"  # the SDK's text for a listing without a category
_SEPARATOR = "/"  # the SDK joins lists with it
_CLICKED = {
    "Clicked Product": ("listItems", "listItem"),
    "Clicked Campaign": ("campaigns", "campaign"),
}
_EXPERIMENT_NAMES = {"variantId": "variationId", "variantName": "variationName"}


def corrected(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its objects as the event types describe them; the rest stays."""
    found = _with_products(event)
    for name, path in (("page", "breadcrumb"), ("product", "category"), ("listing", "category")):
        if name in found:
            found[name] = _with_list(found[name], path)
    for name in ("cart", "transaction"):
        if isinstance(found.get(name), Mapping):
            found[name] = _with_products(found[name])
    if isinstance(found.get("experiment"), Mapping):
        found["experiment"] = _renamed(found["experiment"])
    _unwrap_clicked(found)
    return found


def _unwrap_clicked(event: dict[str, Any]) -> None:
    """The SDK puts the one thing that was clicked into a list."""
    name = event.get("name")
    plural, singular = _CLICKED.get(name, ("", "")) if isinstance(name, str) else ("", "")
    items = event.get(plural)
    if isinstance(items, list) and len(items) == 1 and singular not in event:
        event[singular] = items[0]
        del event[plural]


def _with_products(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The products of `listItem`, and of the items of `listItems` and `lineItems`."""
    found = dict(owner)
    if "listItem" in found:
        found["listItem"] = _with_product(found["listItem"])
    for name in ("listItems", "lineItems"):
        if isinstance(found.get(name), list):
            found[name] = [_with_product(item) for item in found[name]]
    return found


def _with_product(item: Any) -> Any:
    if not isinstance(item, Mapping) or "product" not in item:
        return item
    return {**item, "product": _with_list(item["product"], "category")}


def _with_list(owner: Any, name: str) -> Any:
    """The owner with the text at `name` as a list, or without it if it is none."""
    if not isinstance(owner, Mapping) or not isinstance(owner.get(name), str):
        return owner
    found = dict(owner)
    text = found.pop(name)
    if text != _UNDEFINED:
        found[name] = text.split(_SEPARATOR)
    return found


def _renamed(experiment: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(experiment)
    for theirs, ours in _EXPERIMENT_NAMES.items():
        if theirs in found and ours not in found:
            found[ours] = found.pop(theirs)
    return found
