from __future__ import annotations

import contextlib
import json
import logging
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.google_analytics.destination import GoogleAnalytics
from segmentstream_api.destinations.google_analytics.events import SEMANTIC
from segmentstream_api.testing import Peer, answer, closed_port, complete
from tests.destinations.events import (
    RECEIVED_AT,
    anonymous,
    delivered,
    documented,
    hostile,
    named,
    purchase,
    with_context,
)

OK = answer("204 No Content")
SECRET = "the-api-secret"


def google_analytics(url="https://example.com", now=RECEIVED_AT, **settings) -> GoogleAnalytics:
    given = {"measurement_id": "G-ABC123", "api_secret": SECRET, "base_url": url, **settings}
    given.setdefault("timeout_seconds", 2)
    schema = GoogleAnalytics.settings_schema
    Draft202012Validator(schema).validate(given)
    return GoogleAnalytics("ga", complete(schema, given), clock=lambda: now)


def unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def exchange(delivery, replies: Any = OK, **settings):
    """The outcome, and the only request or None."""
    with Peer(replies) as peer, contextlib.closing(google_analytics(peer.url, **settings)) as ga:
        (outcome,) = ga.send([delivery])
    assert len(peer.received) <= 1
    return outcome, peer.received[0] if peer.received else None


def sent(delivery, **settings) -> dict[str, Any]:
    """The body of the request."""
    outcome, request = exchange(delivery, **settings)
    assert outcome == Delivered()
    assert request
    body: dict[str, Any] = json.loads(request.body)
    return body


def params(event, **settings) -> dict[str, Any]:
    """The parameters of the only event."""
    user = {"userId": "u-1"}
    (only,) = sent(delivered({"event": {"user": user, **event}}), **settings)["events"]
    read: dict[str, Any] = only["params"]
    return read


# The request


def test_the_documented_example_becomes_a_sign_up():
    outcome, request = exchange(documented(), now=unix("2019-02-21T11:00:00Z"))
    assert outcome == Delivered()
    assert request
    assert request.line == f"POST /mp/collect?measurement_id=G-ABC123&api_secret={SECRET} HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "client_id": "390221943.992591031",
        "user_id": "u2783187492",
        "timestamp_micros": 1550746570723000,
        "events": [
            {
                "name": "sign_up",
                "params": {
                    "engagement_time_msec": 1,
                    "event_category": "Auth",
                    "event_label": "some label",
                },
            }
        ],
    }


def test_an_anonymous_user_has_a_client_id_and_no_user_id():
    assert sent(anonymous()) == {
        "client_id": "390221943.992591031",
        "timestamp_micros": 1_770_000_000_000_000,
        "events": [{"name": "sign_up", "params": {"engagement_time_msec": 1}}],
    }


def test_a_purchase_carries_the_order_and_its_products():
    delivery = purchase()
    body = sent(delivery, now=unix("2019-04-02T15:00:00Z"))
    assert body == {
        "client_id": body["client_id"],
        "user_id": "u2783187492",
        "timestamp_micros": 1554214800000000,
        "user_agent": "crm/1.0",
        "events": [
            {
                "name": "purchase",
                "params": {
                    "transaction_id": "QA-123456",
                    "currency": "USD",
                    "value": 25990.5,
                    "shipping": 990,
                    "engagement_time_msec": 1,
                    "event_category": "Ecommerce",
                    "event_source": "CRM",
                    "items": [
                        {
                            "item_id": "1234567890",
                            "item_name": "Timberland Boots",
                            "item_brand": "Timberland",
                            "item_variant": "TBL6065RW",
                            "item_category": "Footwear",
                            "item_category2": "Boots",
                            "price": 12500.25,
                            "quantity": 2,
                        }
                    ],
                },
            }
        ],
    }


def test_a_hostile_event_is_made_to_fit():
    body = sent(hostile(), send_ip=True, send_user_properties=True)
    assert body == {
        "client_id": body["client_id"],
        "user_id": "'; DROP TABLE events; -- \u0000 🙂",
        "timestamp_micros": 1_769_999_999_123_456,
        "events": [
            {
                "name": "Gr_e_gew_hlt",
                "params": {
                    "engagement_time_msec": 1,
                    "event_label": "y" * 100,
                    "nested_level_56_level_55_level_54_level_": "1,two",
                    "huge": "1" + "0" * 99,
                    "odd_keys": 1,
                    "odd_keys__set": 3,
                    "odd_keys_a_b_c": 4,
                    "time": "not the time",
                    "distinct_id": "nobody",
                    "token": "not-the-token",
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("global", "https://www.google-analytics.com"),
        ("eu", "https://region1.google-analytics.com"),
    ],
)
def test_a_region_has_its_host(region, host):
    schema = GoogleAnalytics.settings_schema
    settings = {"measurement_id": "G-1", "api_secret": "s", "region": region}
    posted = []

    class Http:
        def post(self, url, **_):
            posted.append(url)
            return Retry("not sent")

    ga = GoogleAnalytics("ga", complete(schema, settings), clock=lambda: RECEIVED_AT)
    ga._http = Http()  # type: ignore[assignment]  # noqa: SLF001 - nothing may be sent to Google
    ga.send([anonymous()])
    assert posted == [f"{host}/mp/collect"]


# Who it was


@pytest.mark.parametrize(
    ("options", "user", "client_id"),
    [
        ({"clientId": "1033501218.1368477899"}, {"googleClientId": "1.1"}, "1033501218.1368477899"),
        ({"clientId": "GA1.2.1033501218.1368477899"}, {}, "1033501218.1368477899"),
        ({"clientId": "any text"}, {}, "any text"),
        ({}, {"googleClientId": "5.6"}, "5.6"),
        ({"clientId": 1.5}, {"googleClientId": "5.6"}, "5.6"),
        ({}, {"anonymousId": "an-1"}, "2059236008.3297183678"),
        ({}, {}, "2722791253.4068007241"),
    ],
)
def test_a_client_id_is_the_given_one_else_made_of_the_anonymous_id_else_of_the_user_id(
    options, user, client_id
):
    event = {"name": "Seen", "user": {"userId": "u-1", **user}}
    assert sent(delivered({"event": event}, options=options))["client_id"] == client_id


def test_a_user_id_that_is_too_long_for_google_is_left_out():
    assert "user_id" not in sent(named("Seen", userId="u" * 257))
    assert sent(named("Seen", userId="u" * 256))["user_id"] == "u" * 256


def test_the_address_is_sent_only_on_demand_and_only_if_it_is_one():
    assert "ip_override" not in sent(with_context())
    assert sent(with_context(), send_ip=True)["ip_override"] == "2001:db8::7"
    example = documented(sentAt="2026-02-02T02:00:00Z")
    assert "ip_override" not in sent(example, send_ip=True)


def test_what_is_known_of_the_user_is_sent_only_on_demand_and_without_what_google_forbids():
    user = {
        "userId": "u-1",
        "email": "a@b.c",
        "emailHash": "0" * 64,
        "phone": "1",
        "firstName": "F",
        "lastName": "L",
        "birthDate": "2000-01-01",
        "isSubscribed": True,
        "segment": {"a": 1},
        "subscriptions": ["x"],
        "tier of the customer's account": "g" * 50,
        "user id": "reserved",
        "google_x": "reserved",
        "orders": 3,
    }
    event = delivered({"event": {"name": "Seen", "user": user}})
    assert "user_properties" not in sent(event)
    assert sent(event, send_user_properties=True)["user_properties"] == {
        "isSubscribed": {"value": "true"},
        "tier_of_the_customer_s_a": {"value": "g" * 36},
        "orders": {"value": 3},
    }


def test_more_user_properties_than_google_takes_are_left_out():
    event = named("Seen", userId="u", **{f"trait{n}": n for n in range(30)})
    assert len(sent(event, send_user_properties=True)["user_properties"]) == 25


# When it was


def test_a_time_is_that_of_the_event_to_the_microsecond():
    assert sent(hostile())["timestamp_micros"] == 1_769_999_999_123_456


def test_a_clock_that_is_ahead_is_set_to_the_arrival():
    event = {"name": "Seen", "user": {"userId": "u"}}
    ahead = delivered({"sentAt": "2026-02-09T00:00:00Z", "event": event})
    assert sent(ahead)["timestamp_micros"] == 1_770_000_000_000_000


def test_what_is_older_than_72_hours_is_rejected_before_it_is_sent():
    assert exchange(anonymous(), now=RECEIVED_AT + 72 * 3600)[0] == Delivered()
    assert exchange(anonymous(), now=RECEIVED_AT + 72 * 3600 + 1) == (
        Rejected("it happened more than 72 h ago: Google Analytics drops such events"),
        None,
    )


# Names


@pytest.mark.parametrize(
    ("name", "as_name"),
    [
        ("My Event", "My_Event"),
        ("  a -- b!  ", "a_b"),
        ("2nd step", "e_2nd_step"),
        ("_private", "private"),
        ("n" * 50, "n" * 40),
        ("Купил T-shirt", "T_shirt"),
        ("Error", "Error"),
    ],
)
def test_a_name_of_ones_own_is_made_to_fit(name, as_name):
    assert sent(named(name))["events"][0]["name"] == as_name


@pytest.mark.parametrize("name", ["Регистрация", "🛒", "", None, 5, "___"])
def test_an_event_without_a_usable_name_is_rejected(name):
    reason = "the event's name has no ASCII letter or digit; `rename` can give it another"
    assert exchange(named(name)) == (Rejected(reason), None)


@pytest.mark.parametrize("name", ["session_start", "error", "screen view", "ga_x", "firebase x"])
def test_a_reserved_name_is_rejected(name):
    reason = "Google Analytics reserves the event's name for itself; `rename` can change it"
    assert exchange(named(name)) == (Rejected(reason), None)


def test_rename_goes_before_googles_name_and_keeps_the_parameters():
    event = {
        "name": "Completed Transaction",
        "user": {"userId": "u"},
        "transaction": {"orderId": "1"},
    }
    renamed = delivered({"event": event}, rename={"Completed Transaction": "crm purchase"})
    (only,) = sent(renamed)["events"]
    assert only["name"] == "crm_purchase"
    assert only["params"]["transaction_id"] == "1"


def test_rename_saves_a_reserved_or_foreign_name():
    event = {"name": "Регистрация", "user": {"userId": "u"}}
    renamed = delivered({"event": event}, rename={"Регистрация": "sign_up"})
    assert sent(renamed)["events"][0]["name"] == "sign_up"


def test_a_new_name_that_is_reserved_is_rejected_too():
    event = {"name": "Seen", "user": {"userId": "u"}}
    outcome, _ = exchange(delivered({"event": event}, rename={"Seen": "error"}))
    assert isinstance(outcome, Rejected)


# Semantic events

BOOTS = {"id": "1", "name": "Boots", "currency": "USD", "unitPrice": 100, "unitSalePrice": 90}
ITEM = {"item_id": "1", "item_name": "Boots", "price": 90, "discount": 10, "quantity": 1}
CART = {
    "currency": "USD",
    "total": 180,
    "vouchers": ["V"],
    "paymentMethod": "Cash",
    "lineItems": [{"product": "1", "quantity": 2}],
}
WORTH = {"currency": "USD", "value": 90}
CART_WORTH = {"currency": "USD", "value": 180, "items": [{"item_id": "1", "quantity": 2}]}
LISTED = {
    "item_list_id": "main",
    "item_list_name": "Main",
    "items": [{"item_id": "1", "quantity": 1, "index": 3}],
}
LIST_ITEM = {"product": "1", "listId": "main", "listName": "Main", "position": 3}
PROMOTION = {
    "promotion_id": "P",
    "promotion_name": "Sale",
    "creative_name": "D",
    "creative_slot": "top",
}
CAMPAIGN = {"id": "P", "name": "Sale", "design": "D", "position": "top"}


@pytest.mark.parametrize(
    ("name", "properties", "as_name", "as_params"),
    [
        ("Viewed Product Detail", {"product": BOOTS}, "view_item", {**WORTH, "items": [ITEM]}),
        (
            "Added Product",
            {"product": BOOTS, "quantity": 2},
            "add_to_cart",
            {"currency": "USD", "value": 180, "items": [{**ITEM, "quantity": 2}]},
        ),
        (
            "Removed Product",
            {"product": "1"},
            "remove_from_cart",
            {"items": [{"item_id": "1", "quantity": 1}]},
        ),
        (
            "Added Product to Wishlist",
            {"product": BOOTS},
            "add_to_wishlist",
            {**WORTH, "items": [ITEM]},
        ),
        (
            "Viewed Product Listing",
            {"listing": {"listId": "main", "listName": "Main", "items": ["1"], "resultCount": 5}},
            "view_item_list",
            {**LISTED, "items": [{"item_id": "1", "quantity": 1}]},
        ),
        ("Viewed Product", {"listItems": [LIST_ITEM]}, "view_item_list", LISTED),
        ("Clicked Product", {"listItem": LIST_ITEM}, "select_item", LISTED),
        (
            "Searched Products",
            {"listing": {"query": "blue boots"}},
            "search",
            {"search_term": "blue boots"},
        ),
        ("Searched", {"listing": {"query": "b"}}, "search", {"search_term": "b"}),
        ("Viewed Cart", {"cart": CART}, "view_cart", CART_WORTH),
        (
            "Started Order",
            {"cart": CART},
            "begin_checkout",
            {**CART_WORTH, "coupon": "V", "payment_type": "Cash"},
        ),
        (
            "Added Payment Info",
            {"cart": CART},
            "add_payment_info",
            {**CART_WORTH, "coupon": "V", "payment_type": "Cash"},
        ),
        (
            "Refunded Transaction",
            {"transaction": {"orderId": "Q", "total": 5, "currency": "usd"}},
            "refund",
            {"transaction_id": "Q", "currency": "USD", "value": 5},
        ),
        (
            "Completed Transaction",
            {"transaction": {"orderId": 7, "total": 5, "tax": 1, "affiliation": "Shop"}},
            "purchase",
            {"transaction_id": "7", "tax": 1, "affiliation": "Shop"},
        ),
        ("Viewed Campaign", {"campaign": CAMPAIGN}, "view_promotion", PROMOTION),
        ("Clicked Campaign", {"campaign": "P"}, "select_promotion", {"promotion_id": "P"}),
        ("Viewed Campaign", {}, "view_promotion", {}),
        ("Logged In", {"method": "email"}, "login", {"method": "email"}),
        ("Registered", {}, "sign_up", {}),
        ("Lead", {}, "generate_lead", {}),
        (
            "Viewed Page",
            {"page": {"url": "https://a.b/c", "title": "T", "type": "home"}},
            "page_view",
            {
                "page_location": "https://a.b/c",
                "page_title": "T",
                "page_url": "https://a.b/c",
                "page_type": "home",
            },
        ),
        (
            "Viewed Checkout Step",
            {"step": 2, "option": "DHL"},
            "Viewed_Checkout_Step",
            {"step": 2, "option": "DHL"},
        ),
        (
            "Subscribed",
            {"campaign": CAMPAIGN},
            "Subscribed",
            {"promotion_id": "P", "promotion_name": "Sale"},
        ),
        (
            "Updated Cart",
            {"cart": CART},
            "Updated_Cart",
            {
                "cart_currency": "USD",
                "cart_total": 180,
                "cart_vouchers": "V",
                "cart_paymentMethod": "Cash",
            },
        ),
    ],
)
def test_a_semantic_event_becomes_googles(name, properties, as_name, as_params):
    event = {"name": name, "user": {"userId": "u"}, **properties}
    (only,) = sent(delivered({"event": event}))["events"]
    assert only == {"name": as_name, "params": {"engagement_time_msec": 1, **as_params}}


def test_every_campaign_that_was_seen_is_an_event():
    event = {"name": "Viewed Campaign", "user": {"userId": "u"}, "campaigns": [CAMPAIGN, "Q"] * 20}
    events = sent(delivered({"event": event}))["events"]
    assert [each["params"]["promotion_id"] for each in events[:3]] == ["P", "Q", "P"]
    assert len(events) == 25, "Google takes no more in a request"


def test_every_recommended_name_is_one_that_google_takes():
    for name, _ in SEMANTIC.values():
        assert sent(named(name))["events"][0]["name"] == name


# Parameters


def test_properties_are_flattened_and_named_as_google_wants_it():
    assert params(
        {
            "name": "Seen",
            "a": {"b-c": {"d": 1}},
            "2nd": 2.5,
            "list": ["x", 1, None, True, {"a": 1}],
            "ga_x": 1,
            "google_x": 1,
            "firebase_x": 1,
            "firebase_conversion": 1,
            "null": None,
            "empty": "",
            "nobody": {},
            "nonInteraction": True,
            "long id": 2**60,
            "v" * 50: "x" * 150,
        }
    ) == {
        "engagement_time_msec": 1,
        "non_interaction": "true",
        "a_b_c_d": 1,
        "p_2nd": 2.5,
        "list": "x,1,true",
        "long_id": str(2**60),
        "v" * 40: "x" * 100,
    }


def test_dimensions_and_metrics_have_their_own_names():
    assert params(
        {
            "name": "Seen",
            "customDimensions": [{"name": "member tier", "value": "gold"}, {"value": 1}, 5],
            "customMetrics": [{"name": "points", "value": 120}],
        }
    ) == {"engagement_time_msec": 1, "member_tier": "gold", "points": 120}


def test_what_google_takes_for_the_source_of_traffic_is_named_otherwise():
    given = {name: name for name in ("source", "medium", "term", "content", "action")}
    read = params({"name": "Seen", **given})
    assert read == {"engagement_time_msec": 1, **{f"event_{name}": name for name in given}}


def test_a_value_is_money_only_with_a_currency():
    assert params({"name": "Seen", "value": 5})["event_value"] == 5
    with_currency = params({"name": "Seen", "value": 5, "website": {"currency": "EUR"}})
    assert with_currency["value"] == 5
    assert with_currency["currency"] == "EUR"


def test_of_more_than_25_parameters_the_first_stay_and_the_mapped_go_first():
    many = {f"property{n}": n for n in range(40)}
    read = params({**many, "name": "Completed Transaction", "transaction": {"orderId": "Q"}})
    assert len(read) == 25
    assert read["transaction_id"] == "Q"
    assert read["property22"] == 22
    assert "property23" not in read


def test_the_items_are_one_of_the_25_parameters():
    many = {f"property{n}": n for n in range(40)}
    read = params({**many, "name": "Added Product", "product": "1"})
    assert len(read) == 25
    assert read["items"] == [{"item_id": "1", "quantity": 1}]


def test_more_products_than_google_takes_are_left_out():
    cart = {"lineItems": ["1"] * 300}
    assert len(params({"name": "Viewed Cart", "cart": cart})["items"]) == 200


def test_the_page_is_taken_from_the_context_too_and_may_be_longer():
    document = {
        "event": {"name": "Seen", "user": {"userId": "u"}},
        "context": {"page": {"url": "u" * 2000, "title": "t" * 2000, "referrer": "r" * 2000}},
    }
    (only,) = sent(delivered(document))["events"]
    assert only["params"] == {
        "engagement_time_msec": 1,
        "page_location": "u" * 1000,
        "page_title": "t" * 300,
        "page_referrer": "r" * 420,
    }


@pytest.mark.parametrize(
    ("options", "session"),
    [
        (
            {"sessionId": "1700000000", "engagementTimeMsec": 1200},
            {"session_id": "1700000000", "engagement_time_msec": 1200},
        ),
        (
            {"sessionId": 1700000000, "engagementTimeMsec": "5"},
            {"session_id": "1700000000", "engagement_time_msec": 5},
        ),
        ({"sessionId": "abc", "engagementTimeMsec": -1}, {"engagement_time_msec": 1}),
        ({"sessionId": None, "engagementTimeMsec": True}, {"engagement_time_msec": 1}),
    ],
)
def test_a_session_comes_from_the_options(options, session):
    event = {"name": "Seen", "user": {"userId": "u"}}
    assert sent(delivered({"event": event}, options=options))["events"][0]["params"] == session


# Answers


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", Delivered()),
        ("204 No Content", Delivered()),
        ("302 Found", Retry("HTTP 302: redirects are not followed", misconfigured=True)),
        ("400 Bad Request", Rejected("HTTP 400")),
        ("403 Forbidden", Retry("HTTP 403", misconfigured=True)),
        ("404 Not Found", Retry("HTTP 404", misconfigured=True)),
        ("413 Content Too Large", Rejected("HTTP 413")),
        ("429 Too Many Requests", Retry("HTTP 429")),
        ("500 Internal Server Error", Retry("HTTP 500")),
        ("503 Service Unavailable", Retry("HTTP 503")),
    ],
)
def test_an_answer_means(status, outcome):
    assert exchange(anonymous(), answer(status))[0] == outcome


def test_retry_after_is_obeyed_from_the_clock_of_the_destination():
    late = answer("503 Busy", Retry_After="Mon, 02 Feb 2026 02:41:00 GMT")
    assert exchange(anonymous(), late)[0] == Retry("HTTP 503", after_seconds=60)


@pytest.mark.parametrize("retry_unknown", [True, False])
def test_what_never_reached_google_is_always_sent_again(retry_unknown):
    with contextlib.closing(google_analytics(closed_port(), retry_unknown=retry_unknown)) as ga:
        assert ga.send([anonymous()]) == [Retry("could not connect")]


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (None, "no answer within 0.2 s"),
        (b"", "the connection was closed too early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "the answer was cut short"),
        (b"garbage\r\n\r\n", "the answer was not HTTP"),
    ],
)
def test_what_may_have_reached_google_is_sent_again_unless_that_is_switched_off(replies, reason):
    outcome, _ = exchange(anonymous(), replies, timeout_seconds=0.2)
    assert outcome == Retry(reason)
    once, _ = exchange(anonymous(), replies, timeout_seconds=0.2, retry_unknown=False)
    assert once == Rejected(f"{reason}: it may have been counted (retry_unknown = false)")


def test_a_batch_gets_the_outcome_of_each():
    replies = iter([OK, answer("400 Bad Request"), answer("500 Oops")])
    with (
        Peer(lambda _: [next(replies)], keep_alive=True) as peer,
        contextlib.closing(google_analytics(peer.url)) as ga,
    ):
        events = [named("First"), named(""), named("Second"), named("Third")]
        outcomes = ga.send(events)
    assert outcomes[0] == Delivered()
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[2:] == [Rejected("HTTP 400"), Retry("HTTP 500")]


# The trial


def probed(delivery, replies: Any, **settings):
    with Peer(replies) as peer, contextlib.closing(google_analytics(peer.url, **settings)) as ga:
        outcome = ga.probe(delivery)
    return outcome, peer.received


def test_a_probe_asks_the_validation_server_and_records_nothing():
    (outcome, sentence), (request,) = probed(
        anonymous(), answer("200 OK", b'{"validationMessages":[]}')
    )
    assert outcome == Delivered()
    assert sentence.startswith("valid; nothing was recorded")
    assert request.line.startswith("POST /debug/mp/collect?measurement_id=G-ABC123&api_secret=")
    strict = {"validation_behavior": "ENFORCE_RECOMMENDATIONS"}
    assert json.loads(request.body) == sent(anonymous()) | strict


def test_a_probe_tells_what_is_wrong_and_where_but_not_what_was_sent():
    messages = [
        {"fieldPath": "events", "description": "[u-1] bad", "validationCode": "NAME_INVALID"},
        {"fieldPath": "<u-1>", "validationCode": "u-1"},
        "u-1",
    ]
    body = json.dumps({"validationMessages": messages}).encode()
    (outcome, sentence), _ = probed(anonymous(), answer("200 OK", body))
    assert outcome == Rejected("NAME_INVALID at events; a fault; a fault")
    assert sentence == "not valid: NAME_INVALID at events; a fault; a fault"


@pytest.mark.parametrize(
    ("replies", "outcome", "sentence"),
    [
        (
            answer("200 OK", b"<html>"),
            Retry("the answer is not of Google's validation server"),
            "not validated: the answer is not of Google's validation server",
        ),
        (answer("500 Oops"), Retry("HTTP 500"), "not validated: HTTP 500"),
        (answer("400 Bad"), Rejected("HTTP 400"), "not valid: HTTP 400"),
        (
            None,
            Retry("no answer within 0.2 s"),
            "not validated: no answer within 0.2 s",
        ),
    ],
)
def test_a_probe_without_a_verdict(replies, outcome, sentence):
    assert probed(anonymous(), replies, timeout_seconds=0.2)[0] == (outcome, sentence)


def test_a_probe_of_an_event_that_would_not_be_sent_sends_nothing():
    (outcome, sentence), received = probed(named("error"), OK)
    assert isinstance(outcome, Rejected)
    assert sentence.startswith("not valid: Google Analytics reserves")
    assert received == []


# Settings and secrets


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"measurement_id": "G-1"},
        {"measurement_id": "UA-1-1", "api_secret": "s"},
        {"measurement_id": "G-1", "api_secret": ""},
        {"measurement_id": "G-1", "api_secret": "s", "region": "us"},
        {"measurement_id": "G-1", "api_secret": "s", "base_url": "ftp://x"},
        {"measurement_id": "G-1", "api_secret": "s", "sendIp": True},
    ],
)
def test_the_schema_refuses(settings):
    assert not Draft202012Validator(GoogleAnalytics.settings_schema).is_valid(settings)


def test_the_check_says_what_is_wrong_with_the_url():
    assert google_analytics("https://").check() == ["base_url: it names no host"]


def test_the_secret_in_the_url_is_shown_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes = [
        exchange(anonymous(), replies, timeout_seconds=0.2)[0] for replies in (OK, None, b"")
    ]
    with contextlib.closing(google_analytics(closed_port())) as ga:
        outcomes += ga.send([anonymous()])
    assert SECRET not in f"{outcomes} {caplog.text}"
