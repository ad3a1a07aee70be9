"""Which violations of event types the JavaScript SDK causes, so that no site can avoid them.

It leaves members out that its site has given: a list's name, a cart, a price of 0. A site that
names a campaign or an experiment by its id alone has nothing more to send.
"""

from __future__ import annotations

import re

from segmentstream_api.errors import Violation

_MISSING = "is missing"
_BY_EVENT = {
    "Clicked Product": ("/event/listItem/listName",),
    "Updated Cart": ("/event/cart",),
    "Started Order": ("/event/cart",),
    "Added Payment Info": ("/event/cart",),
    "Updated Transaction": (
        "/event/transaction/currency",
        "/event/transaction/subtotal",
        "/event/transaction/total",
    ),
    "Clicked Campaign": ("/event/campaign/name",),
    "Viewed Experiment": ("/event/experiment/id", "/event/experiment/name"),
}
_PRICES = re.compile(r"/event(/.*)?/product/unit(Sale)?Price")
_CAMPAIGNS = re.compile(r"/event/campaigns/[0-9]+/name")


def is_unavoidable(event_name: str, violation: Violation) -> bool:
    """Only of what is missing: a value that is there comes from the site."""
    if not violation.detail.startswith(_MISSING):
        return False
    place = violation.pointer
    if event_name == "Viewed Campaign" and _CAMPAIGNS.fullmatch(place):
        return True
    return place in _BY_EVENT.get(event_name, ()) or bool(_PRICES.fullmatch(place))
