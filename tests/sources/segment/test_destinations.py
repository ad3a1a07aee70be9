"""One order from each SDK, and what the vendors that know orders get of it."""

from __future__ import annotations

import json
import time

import pytest

from segmentstream_api.config import Project
from segmentstream_api.destinations.base import Delivered, Delivery
from segmentstream_api.destinations.facebook_conversions.destination import FacebookConversions
from segmentstream_api.destinations.google_analytics.destination import GoogleAnalytics
from segmentstream_api.event.event import new_event
from segmentstream_api.sources.base import SourceRequest
from segmentstream_api.sources.segment.source import Segment
from segmentstream_api.testing import answer
from tests.destinations.exchange import exchange
from tests.sources.recordings import POSTED

TIMES = {"timestamp", "originalTimestamp", "sentAt"}
ORDERS = [
    (recorded, call)
    for recorded in POSTED
    for call in recorded.body.get("batch", [recorded.body])
    if call.get("event") == "Order Completed" and "products" in call["properties"]
]


def delivery(recorded, call):
    """The call as if it had been made now: vendors refuse old events."""
    now = time.time()
    timeless = {name: value for name, value in call.items() if name not in TIMES}
    request = SourceRequest("/v1/track", headers=recorded.headers, received_at=now)
    (message,) = Segment().read(timeless, request, Project("shop", (), ()))
    event = new_event("shop", message.document, received_at=now)
    return Delivery(event.key.hex(), event.body)


def sent_to(destination, delivery, replies, **settings):
    outcomes, (request,) = exchange(destination, [delivery], replies, **settings)
    assert outcomes == [Delivered()]
    return json.loads(request.body)


def test_every_server_sdk_has_recorded_one():
    assert {recorded.name for recorded, _ in ORDERS} == {
        "node-jitsu",
        "node-rudder",
        "node-segment",
        "python-rudder",
        "python-segment",
    }


@pytest.mark.parametrize(("recorded", "call"), ORDERS, ids=[each.name for each, _ in ORDERS])
def test_google_analytics_gets_a_purchase(recorded, call):
    body = sent_to(
        GoogleAnalytics,
        delivery(recorded, call),
        answer("204 No Content"),
        measurement_id="G-ABC1234567",
        api_secret="secret",
    )
    (event,) = body["events"]
    assert event["name"] == "purchase"
    parameters = event["params"]
    assert parameters["transaction_id"] == "O-1"
    assert (parameters["value"], parameters["currency"]) == (25.5, "USD")
    (item,) = parameters["items"]
    assert (item["item_id"], item["price"], item["quantity"]) == ("p1", 10, 2)


@pytest.mark.parametrize(("recorded", "call"), ORDERS, ids=[each.name for each, _ in ORDERS])
def test_meta_gets_a_purchase(recorded, call):
    body = sent_to(
        FacebookConversions,
        delivery(recorded, call),
        answer("200 OK", b'{"events_received": 1}'),
        pixel_id="123",
        access_token="secret",
    )
    (event,) = body["data"]
    assert event["event_name"] == "Purchase"
    data = event["custom_data"]
    assert (data["value"], data["currency"], data["order_id"]) == (25.5, "USD", "O-1")
    assert data["contents"] == [{"id": "p1", "quantity": 2, "item_price": 10}]
