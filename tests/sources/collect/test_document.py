"""What a hit of SegmentStream's JavaScript SDK becomes."""

from __future__ import annotations

import copy
from datetime import datetime

import pytest

from segmentstream_api.config import Project
from segmentstream_api.contract.schemas import Contract
from segmentstream_api.errors import UnknownProject, Violation
from segmentstream_api.sources.base import Key, SourceRequest
from segmentstream_api.sources.collect.source import Collect

SENT_AT = "2026-11-23T13:37:00.000Z"
NOON = datetime.fromisoformat(SENT_AT).timestamp()
AGENT = "Mozilla/5.0"
SOURCE = Collect()
CONTRACT = Contract.load("track.json")
# As the SDK writes it: its order of keys, its bookkeeping.
HIT = {
    "event": {
        "name": "Viewed Page",
        "customDimensions": [{"name": "memberTier", "value": "gold"}],
        "page": {"category": "Sale/Boots", "breadcrumb": "Women/Boots", "path": "/full"},
    },
    "website": {"type": "desktop", "currency": "USD"},
    "type": "event",
    "hitId": "0a1b2c3d-e8b1-11f0-8de9-0242ac120002",
    "projectId": "p-demo-1",
    "projectName": "Demo Shop",
    "anonymousId": "0a1b2c3d-0000-11f0-8de9-0242ac120002",
    "userId": "u2783187492",
    "emailHash": "a" * 64,
    "context": {"page": {"path": "/full"}, "screenWidth": 1280},
    "sentAt": SENT_AT,
    "version": 7,
}


def request(received_at=NOON, path="/collect", **parameters):
    return SourceRequest(
        path=path,
        parameters=parameters,
        headers={"user-agent": AGENT},
        peer="203.0.113.7",
        received_at=received_at,
    )


def read(hit, received_at=NOON):
    (message,) = SOURCE.read(hit, request(received_at), Project("shop", (), ()))
    return message.document


def read_event(**event):
    """The event of a hit, which keeps to the contract."""
    document = read({**HIT, "event": event})
    assert CONTRACT.found(document) == []
    found = dict(document["event"])
    del found["user"], found["website"]
    return found


def test_a_hit_becomes_a_document_without_the_bookkeeping():
    before = copy.deepcopy(HIT)
    assert read(HIT) == {
        "event": {
            "name": "Viewed Page",
            "customDimensions": [{"name": "memberTier", "value": "gold"}],
            "page": {"category": "Sale/Boots", "breadcrumb": ["Women", "Boots"], "path": "/full"},
            "website": {"type": "desktop", "currency": "USD"},
            "user": {
                "userId": "u2783187492",
                "anonymousId": "0a1b2c3d-0000-11f0-8de9-0242ac120002",
                "emailHash": "a" * 64,
            },
        },
        "hitId": "0a1b2c3d-e8b1-11f0-8de9-0242ac120002",
        "context": {
            "page": {"path": "/full"},
            "screenWidth": 1280,
            "ip": "203.0.113.7",
            "userAgent": AGENT,
            "library": {"name": "ddmanager.js", "build": 7},
        },
        "sentAt": SENT_AT,
    }
    assert before == HIT


def test_what_the_client_says_of_its_address_and_agent_wins():
    context = {"ip": "198.51.100.1", "userAgent": "mine", "library": {"name": "own"}}
    assert read({**HIT, "context": context})["context"] == context


def test_a_hit_of_another_client_is_not_attributed_to_the_sdk():
    document = read({"event": {"name": "A"}, "anonymousId": "a-1"})
    assert document["context"] == {"ip": "203.0.113.7", "userAgent": AGENT}
    assert document["event"] == {"name": "A", "user": {"anonymousId": "a-1"}}


def test_an_empty_website_is_left_out():
    assert "website" not in read({**HIT, "website": {}})["event"]


def test_integrations_of_a_page_are_left_out():
    """They hold options of destinations, and anybody can write to `/collect`."""
    assert "integrations" not in read({**HIT, "integrations": {"All": False}})


def test_a_user_in_the_event_wins_over_the_top_level():
    hit = {**HIT, "event": {"name": "A", "user": {"userId": "in-event", "firstName": "Ann"}}}
    user = read(hit)["event"]["user"]
    assert (user["userId"], user["firstName"]) == ("in-event", "Ann")
    assert user["emailHash"] == "a" * 64


class TestTheClock:
    @pytest.mark.parametrize("seconds", [-60, 0, 59.9, 60])
    def test_up_to_a_minute_is_believed(self, seconds):
        assert read(HIT, NOON + seconds)["sentAt"] == SENT_AT

    @pytest.mark.parametrize("seconds", [-61, 61, 4 * 86_400, -86_400 * 365 * 50])
    def test_beyond_it_the_time_of_arrival_counts(self, seconds):
        assert "sentAt" not in read(HIT, NOON + seconds)

    @pytest.mark.parametrize("sent_at", ["+020000-01-01T00:00:00.000Z", "-000001-01-01T00:00:00Z"])
    def test_a_year_that_only_javascript_writes_is_off(self, sent_at):
        document = read({**HIT, "sentAt": sent_at})
        assert "sentAt" not in document
        assert CONTRACT.found(document) == []

    @pytest.mark.parametrize("sent_at", ["yesterday", "", 5, {}])
    def test_what_is_no_time_is_refused_with_its_place(self, sent_at):
        found = CONTRACT.found(read({**HIT, "sentAt": sent_at}))
        assert [each.pointer for each in found] == ["/sentAt"]


class TestFaultsOfTheSdk:
    def test_a_category_that_is_undefined_is_left_out(self):
        listing = {"listId": "main", "category": "undefined"}
        assert read_event(name="Viewed Product Listing", listing=listing)["listing"] == {
            "listId": "main"
        }

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ("Footwear/Boots", ["Footwear", "Boots"]),
            ("Footwear", ["Footwear"]),
            (["Footwear", "A/B"], ["Footwear", "A/B"]),
            (7, 7),
        ],
    )
    def test_categories_become_lists_wherever_products_are(self, given, wanted):
        product, expected = {"id": "1", "category": given}, {"id": "1", "category": wanted}
        item, expected_item = {"product": product}, {"product": expected}
        assert read_event(
            name="A",
            product=product,
            listing={"category": given},
            listItems=[item, "123"],
            listItem=item,
            cart={"lineItems": [item]},
            transaction={"orderId": "1", "lineItems": [item]},
            category="Promo/Top",
        ) == {
            "name": "A",
            "product": expected,
            "listing": {"category": wanted},
            "listItems": [expected_item, "123"],
            "listItem": expected_item,
            "cart": {"lineItems": [expected_item]},
            "transaction": {"orderId": "1", "lineItems": [expected_item]},
            "category": "Promo/Top",
        }

    def test_what_was_clicked_leaves_its_list(self):
        item = {"product": {"id": "1"}, "position": 2}
        clicked = read_event(name="Clicked Product", listItems=[item])
        assert clicked == {"name": "Clicked Product", "listItem": item}
        clicked = read_event(name="Clicked Campaign", campaigns=[{"id": "c"}])
        assert clicked == {"name": "Clicked Campaign", "campaign": {"id": "c"}}

    @pytest.mark.parametrize(
        "event",
        [
            {"name": "Viewed Product", "listItems": [{"product": "1"}]},
            {"name": "Clicked Product", "listItems": []},
            {"name": "Clicked Product", "listItems": ["1", "2"]},
            {"name": "Clicked Product", "listItems": ["1"], "listItem": "2"},
            {"name": "Clicked Campaign", "campaigns": {"id": "c"}},
        ],
    )
    def test_other_lists_stay(self, event):
        assert read_event(**event) == event

    def test_an_experiment_gets_the_names_of_its_type(self):
        experiment = {"id": "e", "variantId": "1", "variantName": "Big"}
        assert read_event(name="Viewed Experiment", experiment=experiment)["experiment"] == {
            "id": "e",
            "variationId": "1",
            "variationName": "Big",
        }


JUNK = [None, True, 0, 1.5, "", "text", [], [1], {}, {"a": None}]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_a_part_of_another_shape_is_left_to_the_schema(junk):
    for name in HIT:
        CONTRACT.found(read({**HIT, name: junk}))
    for name in ("name", "page", "product", "listing", "cart", "listItem", "listItems"):
        assert read({**HIT, "event": {"name": "A", name: junk}})["event"][name] == junk
    for name in ("user", "website", "campaigns", "experiment", "transaction", "listItems"):
        for event in ("Clicked Campaign", "Clicked Product"):
            CONTRACT.found(read({**HIT, "event": {"name": event, name: junk}}))
    read(junk)


class TestTheProject:
    def test_the_path_names_it_before_the_body(self):
        in_path = request(path="/collect/{key}", key="p-2")
        assert SOURCE.key(in_path) == Key("p-2", "project_id")

    def test_the_body_names_it_otherwise(self):
        assert SOURCE.key(request()) is None
        assert SOURCE.key_in(request(), HIT) == Key("p-demo-1", "project_id")

    @pytest.mark.parametrize("body", [{}, {"projectId": 5}, {"projectId": None}, [HIT], "p", None])
    def test_a_body_that_names_none_is_refused(self, body):
        with pytest.raises(UnknownProject):
            SOURCE.key_in(request(), body)


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ("Clicked Product", "/event/listItem/listName"),
        ("Updated Cart", "/event/cart"),
        ("Started Order", "/event/cart"),
        ("Added Payment Info", "/event/cart"),
        ("Updated Transaction", "/event/transaction/total"),
        ("Added Product", "/event/product/unitPrice"),
        ("Completed Transaction", "/event/transaction/lineItems/3/product/unitSalePrice"),
        ("Viewed Campaign", "/event/campaigns/0/name"),
        ("Viewed Experiment", "/event/experiment/id"),
    ],
)
def test_what_the_sdk_drops_is_not_reported(event, pointer):
    assert SOURCE.overlooks(event, Violation(pointer, "is missing; it is required"))
    assert not SOURCE.overlooks(event, Violation(pointer, "must be an object; found text"))
    assert not SOURCE.overlooks("Logged In", Violation("/event/cart", "is missing"))


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ("Clicked Product", "/event/listItem"),
        ("Viewed Cart", "/event/cart"),
        ("Completed Transaction", "/event/transaction/total"),
        ("Added Product", "/event/product/currency"),
    ],
)
def test_what_a_site_can_correct_is_reported(event, pointer):
    assert not SOURCE.overlooks(event, Violation(pointer, "is missing; it is required"))
