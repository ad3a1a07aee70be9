from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Delivery, Rejected, Retry
from segmentstream_api.destinations.facebook_conversions.destination import FacebookConversions
from segmentstream_api.testing import Peer, Received, answer, closed_port, complete
from tests.destinations.events import (
    HIT_ID,
    RECEIVED_AT,
    anonymous,
    delivered,
    documented,
    hostile,
    named,
    numbered,
    purchase,
    with_context,
)

TOKEN = "the-access-token"
DAY = 24 * 3600


def facebook(url="https://example.com", now=RECEIVED_AT, **settings) -> FacebookConversions:
    given = {"pixel_id": "1234567890", "access_token": TOKEN, "base_url": url, **settings}
    given.setdefault("timeout_seconds", 2)
    schema = FacebookConversions.settings_schema
    Draft202012Validator(schema).validate(given)
    return FacebookConversions("fb", complete(schema, given), clock=lambda: now)


def takes_all(request: Received) -> list[bytes]:
    received = len(json.loads(request.body)["data"])
    return [reply({"events_received": received, "messages": [], "fbtrace_id": "x"})]


def reply(document: Any, status: str = "200 OK") -> bytes:
    return answer(status, json.dumps(document).encode())


def error(code: int, subcode: int | None = None, status: str = "400 Bad Request", **more) -> bytes:
    found = {"message": "user-1", "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        found["error_subcode"] = subcode
    return reply({"error": found}, status)


def exchange(deliveries: list[Delivery], replies: Any = takes_all, **settings):
    """The outcomes, and the requests."""
    with Peer(replies) as peer, contextlib.closing(facebook(peer.url, **settings)) as destination:
        outcomes = destination.send(deliveries)
    return outcomes, peer.received


def sent(delivery, **settings) -> dict[str, Any]:
    """The only event of the only request."""
    (outcome,), (request,) = exchange([delivery], **settings)
    assert outcome == Delivered()
    (event,) = json.loads(request.body)["data"]
    read: dict[str, Any] = event
    return read


def of(event, user=None, **more) -> Delivery:
    user = {"userId": "u-1"} if user is None else user
    return delivered({"hitId": "h", "event": {"user": user, **event}}, **more)


def unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# The request


def test_the_documented_example_becomes_a_complete_registration():
    outcomes, (request,) = exchange([documented()], now=unix("2019-02-21T11:00:00Z"))
    assert outcomes == [Delivered()]
    assert request.line == "POST /v25.0/1234567890/events HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "data": [
            {
                "event_name": "CompleteRegistration",
                "event_time": 1550746570,
                "event_id": "4c59d330-35c7-11e9-8f27-8d1d7d4690e7",
                "action_source": "system_generated",
                "user_data": {
                    "fn": [sha256("john")],
                    "ln": [sha256("doe")],
                    "external_id": [
                        sha256("u2783187492"),
                        sha256("80ddb140-35c6-11e9-bd56-eb1c05e6de18"),
                    ],
                },
                "custom_data": {},
            }
        ],
        "access_token": TOKEN,
    }


def test_an_anonymous_user_is_an_external_id():
    assert sent(anonymous()) == {
        "event_name": "CompleteRegistration",
        "event_time": 1_770_000_000,
        "event_id": HIT_ID,
        "action_source": "system_generated",
        "user_data": {"external_id": [sha256("80ddb140-35c6-11e9-bd56-eb1c05e6de18")]},
        "custom_data": {},
    }


def test_a_purchase_carries_the_order_and_its_products():
    assert sent(purchase(), now=unix("2019-04-02T15:00:00Z")) == {
        "event_name": "Purchase",
        "event_time": 1554214800,
        "event_id": "6f4922f4-5568-11e9-8647-d663bd873d93",
        "action_source": "system_generated",
        "user_data": {
            "em": [sha256("john.doe@example.com")],
            "external_id": [sha256("u2783187492")],
            "client_ip_address": "203.0.113.7",
            "client_user_agent": "crm/1.0",
        },
        "custom_data": {
            "value": 25990.5,
            "currency": "USD",
            "content_type": "product",
            "content_ids": ["1234567890"],
            "contents": [{"id": "1234567890", "quantity": 2, "item_price": 12500.25}],
            "content_name": "Timberland Boots",
            "content_category": "Footwear/Boots",
            "num_items": 2,
            "order_id": "QA-123456",
        },
    }


def test_a_hostile_event_is_made_to_fit():
    delivery = hostile()
    assert sent(delivery) == {
        "event_name": "Größe gewählt 🛒",
        "event_time": 1_769_999_999,
        "event_id": delivery.document["hitId"],
        "action_source": "system_generated",
        "user_data": {
            "external_id": [sha256("'; DROP TABLE events; -- \u0000 🙂"), sha256("17")],
        },
        "custom_data": {},
    }
    properties = sent(delivery, send_properties=True)["custom_data"]
    assert properties["time"] == "not the time"
    assert properties["odd keys_a.b_c"] == 4
    assert "huge" not in properties


def test_a_test_event_code_goes_beside_the_events():
    _, (request,) = exchange([anonymous()], test_event_code="TEST123")
    assert json.loads(request.body)["test_event_code"] == "TEST123"


def test_the_version_of_the_api_is_a_setting():
    _, (request,) = exchange([anonymous()], api_version="v99.1")
    assert request.line == "POST /v99.1/1234567890/events HTTP/1.1"


# Who it was: the vectors of Meta's page


@pytest.mark.parametrize(
    ("field", "value", "key", "digest"),
    [
        (
            "email",
            " John_Smith@gmail.com ",
            "em",
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        ),
        (
            "phone",
            "+1 (650) 555-1212",
            "ph",
            "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        ),
        (
            "firstName",
            "Mary",
            "fn",
            "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec",
        ),
        (
            "firstName",
            "정",
            "fn",
            "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14",
        ),
        (
            "lastName",
            "Valéry",
            "ln",
            "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
        ),
    ],
)
def test_personal_data_is_hashed_as_metas_own_examples(field, value, key, digest):
    event = of({"name": "Seen"}, {"userId": "u", field: value})
    assert sent(event)["user_data"][key] == [digest]


@pytest.mark.parametrize(
    ("field", "value", "key", "normal"),
    [
        ("phone", "0044 20 7183 8750", "ph", "442071838750"),
        ("phone", 442071838750, "ph", "442071838750"),
        ("firstName", " O'Brien-Smith. ", "fn", "obriensmith"),
        ("firstName", "Mary Ann", "fn", "mary ann"),
        ("gender", "Female", "ge", "f"),
        ("gender", "M", "ge", "m"),
        ("birthDate", "1987-05-21", "db", "19870521"),
        ("birthDate", "1987-05-21T00:00:00.000Z", "db", "19870521"),
        ("birthDate", 19870521, "db", "19870521"),
        ("city", "St. Louis 2", "ct", "stlouis"),
        ("state", "CA", "st", "ca"),
        ("zip", "94035-1234", "zp", "94035"),
        ("zip", "M1 1AE", "zp", "m11ae"),
        ("country", "US", "country", "us"),
    ],
)
def test_personal_data_is_normalised(field, value, key, normal):
    event = of({"name": "Seen"}, {"userId": "u", field: value})
    assert sent(event)["user_data"][key] == [sha256(normal)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", 5),
        ("emailHash", "eff8c37862c7a2f0019448289bdd0869c30ae7f07060e4be9d"),
        ("emails", "a@b.c"),
        ("phone", "☎"),
        ("phone", "٣٣"),
        ("firstName", "!!"),
        ("gender", "unknown"),
        ("birthDate", "in May"),
        ("country", "United Kingdom"),
        ("city", "42"),
        ("fbp", 5),
    ],
)
def test_what_cannot_be_normalised_is_left_out(field, value):
    event = of({"name": "Seen"}, {"userId": "u", field: value})
    assert sent(event)["user_data"] == {"external_id": [sha256("u")]}


def test_what_is_hashed_already_stays_as_it_is():
    digest = sha256("john_smith@gmail.com")
    assert sent(named("Seen", userId="u", emailHash=digest))["user_data"]["em"] == [digest]
    assert sent(named("Seen", userId="u", email=digest.upper()))["user_data"]["em"] == [digest]
    assert sent(named("Seen", userId=digest))["user_data"]["external_id"] == [digest]


def test_several_addresses_and_numbers_are_sent_once_each():
    user = {"userId": "u", "email": "A@b.c", "emails": ["a@b.c", "d@e.f"], "phones": ["1", "2"]}
    found = sent(named("Seen", **user))["user_data"]
    assert found["em"] == [sha256("a@b.c"), sha256("d@e.f")]
    assert found["ph"] == [sha256("1"), sha256("2")]


@pytest.mark.parametrize(
    ("options", "user", "found"),
    [
        ({"fbp": "fb.1.1.2", "fbc": "fb.1.1.x"}, {}, {"fbp": "fb.1.1.2", "fbc": "fb.1.1.x"}),
        ({}, {"fbp": "fb.1.1.2"}, {"fbp": "fb.1.1.2"}),
        ({"fbp": "option"}, {"fbp": "user", "fbc": "user"}, {"fbp": "option", "fbc": "user"}),
    ],
)
def test_the_ids_of_browser_and_click_are_not_hashed(options, user, found):
    event = of({"name": "Seen"}, {"userId": "u", **user}, options=options)
    assert sent(event)["user_data"] == {"external_id": [sha256("u")], **found}


# Where and when it was


def test_what_comes_from_a_browser_took_place_on_a_website():
    event = sent(with_context())
    assert event["action_source"] == "website"
    assert event["event_source_url"] == "https://shop.example.com/p/123?color=black"
    assert event["user_data"]["client_user_agent"] == "Mozilla/5.0"


@pytest.mark.parametrize(
    "context",
    [
        {"page": {"url": "https://a.b/"}},
        {"userAgent": "Mozilla"},
        {"userAgent": "Mozilla", "page": {"url": "file:///etc/passwd"}},
    ],
)
def test_what_lacks_the_url_or_the_user_agent_took_place_where_the_setting_says(context):
    document = {"event": {"name": "Seen", "user": {"userId": "u"}}, "context": context}
    assert sent(delivered(document))["action_source"] == "system_generated"
    elsewhere = sent(delivered(document), action_source="phone_call")
    assert elsewhere["action_source"] == "phone_call"


def test_an_event_of_more_than_seven_days_ago_is_rejected_and_spares_the_others():
    fresh = of({"name": "Seen"})
    old = delivered({"sentAt": "2026-01-20T00:00:00Z", "event": {"name": "S", "user": {}}})
    outcomes, (request,) = exchange([fresh, old, fresh])
    too_old = Rejected("it happened more than 7 days ago: Facebook refuses such events")
    assert outcomes == [Delivered(), too_old, Delivered()]
    assert len(json.loads(request.body)["data"]) == 2


def test_seven_days_are_counted_to_the_second_and_in_a_store_it_is_62():
    now = RECEIVED_AT + 7 * DAY
    assert exchange([anonymous()], now=now)[0] == [Delivered()]
    assert isinstance(exchange([anonymous()], now=now + 1)[0][0], Rejected)
    in_store = {"action_source": "physical_store"}
    assert exchange([anonymous()], now=RECEIVED_AT + 62 * DAY, **in_store)[0] == [Delivered()]
    assert exchange([anonymous()], now=RECEIVED_AT + 62 * DAY + 1, **in_store)[0] == [
        Rejected("it happened more than 62 days ago: Facebook refuses such events")
    ]


def test_a_clock_that_is_ahead_is_set_to_the_arrival():
    document = {"sentAt": "2027-01-01", "event": {"name": "Seen", "user": {"userId": "u"}}}
    assert sent(delivered(document))["event_time"] == 1_770_000_000


# Names and what happened


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_an_event_without_a_name_is_rejected(name):
    outcomes, requests = exchange([named(name)])
    assert outcomes == [Rejected("the event has no name: Facebook refuses it")]
    assert requests == []


@pytest.mark.parametrize(
    "transaction",
    [{"orderId": "1"}, {"total": 5}, {"currency": "USD"}, {"total": "a lot", "currency": "USD"}],
)
def test_a_purchase_without_a_value_and_its_currency_is_rejected(transaction):
    outcomes, _ = exchange([of({"name": "Completed Transaction", "transaction": transaction})])
    reason = "a Purchase needs a value and its currency (ISO 4217): Facebook refuses it"
    assert outcomes == [Rejected(reason)]


def test_a_plain_value_among_the_properties_does_not_make_a_purchase_complete():
    event = of({"name": "Completed Transaction", "value": 5})
    assert isinstance(exchange([event], send_properties=True)[0][0], Rejected)


def test_rename_goes_before_metas_name():
    event = of({"name": "Subscribed"}, rename={"Subscribed": "Subscribe"})
    assert sent(event)["event_name"] == "Subscribe"


def test_what_is_renamed_to_a_purchase_is_checked_as_one():
    event = of({"name": "Paid"}, rename={"Paid": "Purchase"})
    assert isinstance(exchange([event])[0][0], Rejected)


BOOTS = {"id": "1", "name": "Boots", "currency": "USD", "unitPrice": 9, "category": ["A", "B"]}
BOOTS_SENT = {
    "content_type": "product",
    "content_ids": ["1"],
    "contents": [{"id": "1", "quantity": 1, "item_price": 9}],
    "content_name": "Boots",
    "content_category": "A/B",
    "num_items": 1,
    "value": 9,
    "currency": "USD",
}


@pytest.mark.parametrize(
    ("name", "properties", "as_name", "data"),
    [
        ("Viewed Product Detail", {"product": BOOTS}, "ViewContent", BOOTS_SENT),
        (
            "Added Product",
            {"product": BOOTS, "quantity": 2},
            "AddToCart",
            {
                **BOOTS_SENT,
                "contents": [{"id": "1", "quantity": 2, "item_price": 9}],
                "num_items": 2,
                "value": 18,
            },
        ),
        ("Added Product to Wishlist", {"product": BOOTS}, "AddToWishlist", BOOTS_SENT),
        (
            "Viewed Product Listing",
            {"listing": {"category": "C/D", "items": [{"id": "1"}, "2", {"name": "no id"}]}},
            "ViewContent",
            {
                "content_type": "product",
                "content_ids": ["1", "2"],
                "contents": [{"id": "1", "quantity": 1}, {"id": "2", "quantity": 1}],
                "content_category": "C/D",
                "num_items": 2,
            },
        ),
        (
            "Searched Products",
            {"listing": {"query": "boots"}},
            "Search",
            {"search_string": "boots"},
        ),
        (
            "Started Order",
            {"cart": {"currency": "USD", "total": 0, "lineItems": []}},
            "InitiateCheckout",
            {"value": 0, "currency": "USD"},
        ),
        ("Added Payment Info", {}, "AddPaymentInfo", {}),
        ("Registered", {}, "CompleteRegistration", {}),
        ("Subscribed", {}, "Lead", {}),
        (
            "Lead",
            {"value": 5, "website": {"currency": "EUR"}},
            "Lead",
            {"value": 5, "currency": "EUR"},
        ),
        ("Viewed Page", {}, "PageView", {}),
        (
            "Refunded Transaction",
            {"transaction": {"orderId": "Q", "total": 5, "currency": "USD"}},
            "Refunded Transaction",
            {"order_id": "Q", "value": 5, "currency": "USD"},
        ),
        (" My own ", {"value": 5, "score": 1}, "My own", {}),
    ],
)
def test_a_semantic_event_becomes_a_standard_one_and_any_other_a_custom_one(
    name, properties, as_name, data
):
    event = sent(of({"name": name, **properties}))
    assert (event["event_name"], event["custom_data"]) == (as_name, data)


def test_all_properties_are_sent_only_on_demand_and_never_the_user():
    event = of(
        {
            "name": "Quiz Done",
            "score": 7,
            "passed": True,
            "part": {"of": "x"},
            "answers": [1],
            "long": 2**60,
            "none": None,
        },
        {"userId": "u", "email": "a@b.c"},
    )
    assert sent(event)["custom_data"] == {}
    assert sent(event, send_properties=True)["custom_data"] == {
        "score": 7,
        "passed": True,
        "part_of": "x",
        "long": str(2**60),
    }


def test_a_hostile_order_does_not_grow_without_bound():
    event = sent(of({"name": "Viewed Cart", "cart": {"lineItems": ["1"] * 10_000}}))
    assert len(event["custom_data"]["contents"]) == 500
    assert event["custom_data"]["num_items"] == 10_000


# Answers

SETTINGS_AT_FAULT = "the access token or the settings"


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        (reply({"events_received": 1}), Delivered()),
        (reply({"events_received": 2}), Delivered()),
        (
            reply({"events_received": 0}),
            Rejected("Facebook took 0 of 1 events and does not say why"),
        ),
        (reply({"events_received": True}), Retry("the answer is not Facebook's")),
        (reply({}), Retry("the answer is not Facebook's")),
        (answer("200 OK", b"<html>"), Retry("the answer is not Facebook's")),
        (answer("204 No Content"), Retry("the answer is not Facebook's")),
        *(
            (
                error(code),
                Retry(
                    f"HTTP 400, Facebook's error {code}: too many calls",
                    after_seconds=60,
                ),
            )
            for code in (4, 17, 32, 613, 80000, 80004, 80014)
        ),
        *(
            (error(code), Retry(f"HTTP 400, Facebook's error {code}"))
            for code in (1, 2, 341, 368, 5000, 21009)
        ),
        *(
            (
                error(code),
                Retry(
                    f"HTTP 400, Facebook's error {code}: {SETTINGS_AT_FAULT}", misconfigured=True
                ),
            )
            for code in (3, 10, 102, 105, 190, 200, 294)
        ),
        (
            error(190, 460, "401 Unauthorized"),
            Retry(
                f"HTTP 401, Facebook's error 190, subcode 460: {SETTINGS_AT_FAULT}",
                misconfigured=True,
            ),
        ),
        (
            error(100, 33),
            Retry(
                f"HTTP 400, Facebook's error 100, subcode 33: {SETTINGS_AT_FAULT}",
                misconfigured=True,
            ),
        ),
        (error(100, 2804003), Rejected("HTTP 400, Facebook's error 100, subcode 2804003")),
        (error(100), Rejected("HTTP 400, Facebook's error 100")),
        *((error(code), Rejected(f"HTTP 400, Facebook's error {code}")) for code in (79999, 80015)),
        (error(100, None, "500 Oops"), Rejected("HTTP 500, Facebook's error 100")),
        (error(100, is_transient=True), Retry("HTTP 400, Facebook's error 100")),
        (error(999), Rejected("HTTP 400, Facebook's error 999")),
        (error(999, None, "500 Oops"), Retry("HTTP 500, Facebook's error 999")),
        (
            error(999, None, "403 Forbidden"),
            Retry("HTTP 403, Facebook's error 999", misconfigured=True),
        ),
        (error(999, None, "200 OK"), Rejected("HTTP 200, Facebook's error 999")),
        (
            reply({"error": {"code": "user-1"}}, "400 Bad"),
            Rejected("HTTP 400, Facebook's error 0"),
        ),
        (
            answer("400 Bad Request", b"<html>"),
            Retry("HTTP 400 without an error code of Facebook's"),
        ),
        (
            answer("413 Too Large", b"<html>"),
            Retry("HTTP 413 without an error code of Facebook's"),
        ),
        (answer("404 Not Found", b"<html>"), Retry("HTTP 404", misconfigured=True)),
        (answer("502 Bad Gateway", b"<html>"), Retry("HTTP 502")),
        (
            answer("302 Found", Location="/login"),
            Retry("HTTP 302: redirects are not followed", misconfigured=True),
        ),
        (answer("503 Busy", b"x", Retry_After="7"), Retry("HTTP 503", after_seconds=7)),
    ],
)
def test_an_answer_means(replies, outcome):
    assert exchange([anonymous()], replies)[0] == [outcome]


def test_no_answer_is_tried_again_since_facebook_knows_the_event_by_its_id():
    assert exchange([anonymous()], None, timeout_seconds=0.2)[0] == [
        Retry("no answer within 0.2 s")
    ]
    with contextlib.closing(facebook(closed_port())) as destination:
        assert destination.send([anonymous()]) == [Retry("could not connect")]


# Batches


def test_a_full_batch_is_one_request():
    outcomes, (request,) = exchange(numbered(100))
    assert outcomes == [Delivered()] * 100
    ids = [event["event_id"] for event in json.loads(request.body)["data"]]
    assert ids == [f"hit-{number}" for number in range(100)]


def test_of_several_events_that_are_refused_together_each_is_tried_alone():
    outcomes, _ = exchange(numbered(3), error(100))
    assert (
        outcomes
        == [Retry("HTTP 400, Facebook's error 100 to 3 events at once: each goes alone next time")]
        * 3
    )


def test_of_several_events_of_which_some_are_missing_each_is_tried_alone():
    outcomes, _ = exchange(numbered(3), reply({"events_received": 2}))
    assert all(isinstance(outcome, Retry) for outcome in outcomes)


def test_events_that_do_not_fit_into_a_request_wait_for_the_next():
    large = [of({"name": "Seen", "text": "x" * 60_000}) for _ in range(20)]
    outcomes, (request,) = exchange(large, send_properties=True)
    assert len(request.body) < 1_001_000
    assert outcomes.count(Delivered()) == len(json.loads(request.body)["data"]) == 16


# Settings and secrets


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pixel_id": "1"},
        {"pixel_id": "1/../2", "access_token": "t"},
        {"pixel_id": 1, "access_token": "t"},
        {"pixel_id": "1", "access_token": ""},
        {"pixel_id": "1", "access_token": "t", "api_version": "25"},
        {"pixel_id": "1", "access_token": "t", "action_source": "website"},
        {"pixel_id": "1", "access_token": "t", "colour": "red"},
    ],
)
def test_the_schema_refuses(settings):
    assert not Draft202012Validator(FacebookConversions.settings_schema).is_valid(settings)


def test_the_check_says_what_is_wrong_with_the_url():
    assert facebook("https://").check() == ["base_url: it names no host"]


def test_a_probe_sends_the_event_and_says_what_became_of_it():
    with Peer(takes_all) as peer, contextlib.closing(facebook(peer.url)) as destination:
        assert destination.probe(anonymous()) == (Delivered(), "delivered")
    with Peer(error(190)) as peer, contextlib.closing(facebook(peer.url)) as destination:
        outcome, sentence = destination.probe(anonymous())
    reason = f"HTTP 400, Facebook's error 190: {SETTINGS_AT_FAULT}"
    assert outcome == Retry(reason, misconfigured=True)
    assert sentence == f"not delivered: {reason}"
    outcome, sentence = facebook().probe(named(""))
    assert sentence == "rejected: the event has no name: Facebook refuses it"


def test_the_token_and_what_was_sent_are_shown_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes = [
        exchange(numbered(2), replies, timeout_seconds=0.2)[0]
        for replies in (takes_all, None, b"", error(100), error(190))
    ]
    shown = f"{outcomes} {caplog.text}"
    assert TOKEN not in shown
    assert "user-1" not in shown
