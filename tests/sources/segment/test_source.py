"""What the calls of Segment's SDKs become, call by call and field by field."""

from __future__ import annotations

import base64
import json
from datetime import datetime

import pytest

from segmentstream_api.config import Project
from segmentstream_api.contract.event_types.rules import EventTypes
from segmentstream_api.contract.schemas import Contract
from segmentstream_api.errors import InvalidEvent, TooLarge
from segmentstream_api.sources.base import SourceRequest
from segmentstream_api.sources.segment.calls import MAX_CALLS
from segmentstream_api.sources.segment.source import Segment
from tests.sources.recordings import POSTED

NOON = datetime.fromisoformat("2026-11-25T12:00:00Z").timestamp()
SOURCE = Segment()
CONTRACT = Contract.load("track.json")
PAGE = {"origin": "https://shop.example.com", "user-agent": "Mozilla/5.0"}


def request(path="/v1/batch", **more):
    return SourceRequest(path=path, **{"received_at": NOON, **more})


def read(document, path="/v1/batch", names="translate", **more):
    return SOURCE.read(
        document, request(path, **more), Project("shop", (), (), segment_names=names)
    )


def read_one(call, **more):
    """The document of one call in a batch, which keeps to the contract."""
    (message,) = read({"batch": [call]}, **more)
    assert message.document is not None, message.violations
    assert CONTRACT.found(message.document) == []
    return message.document


def track(event="A", **fields):
    return {"type": "track", "event": event, "userId": "u-1", **fields}


def violations(call, **more):
    (message,) = read({"batch": [call]}, **more)
    assert message.document is None
    return [each.pointer for each in message.violations]


class TestRecordedRequests:
    @pytest.mark.parametrize("recorded", POSTED, ids=lambda each: f"{each.name} {each.path}")
    def test_every_call_becomes_an_event_with_its_own_hit_id_and_time(self, recorded):
        messages = read(
            recorded.body, recorded.path, headers=recorded.headers, received_at=recorded.time
        )
        calls = recorded.body.get("batch", [recorded.body])
        assert len(messages) == len(calls)
        for message, call in zip(messages, calls, strict=True):
            assert CONTRACT.found(message.document) == []
            assert message.document["hitId"] == call["messageId"]
            time = call.get("originalTimestamp") or call["timestamp"]
            sent_at = message.document["sentAt"]
            assert datetime.fromisoformat(sent_at) == datetime.fromisoformat(time)

    @pytest.mark.parametrize("recorded", POSTED, ids=lambda each: f"{each.name} {each.path}")
    def test_the_write_key_is_in_no_document(self, recorded):
        for message in read(recorded.body, recorded.path, received_at=recorded.time):
            document = json.dumps(message.document)
            assert "writeKey" not in document
            assert "wk_test" not in document
            assert "_metadata" not in document

    @pytest.mark.parametrize("recorded", POSTED, ids=lambda each: f"{each.name} {each.path}")
    def test_the_key_is_found_where_the_sdk_puts_it(self, recorded):
        asked = request(recorded.path, headers=recorded.headers)
        key = SOURCE.key(asked) or SOURCE.key_in(asked, recorded.body)
        assert key is not None
        assert key.text in {"wk_test", "wk"}

    def test_one_order_is_the_same_transaction_from_every_server_sdk(self):
        orders = [
            message.document["event"]["transaction"]
            for recorded in POSTED
            for message in read(recorded.body, recorded.path, received_at=recorded.time)
            if message.document["event"]["name"] == "Completed Transaction"
            and not recorded.name.startswith("browser")
        ]
        assert len(orders) == 5
        for order in orders:
            assert order == {
                "orderId": "O-1",
                "currency": "USD",
                "subtotal": 25.5,
                "total": 25.5,
                "lineItems": [
                    {"product": {"id": "p1", "unitPrice": 10, "unitSalePrice": 10}, "quantity": 2}
                ],
            }


class TestTrack:
    def test_properties_are_fields_of_the_event(self):
        document = read_one(track("Played", properties={"label": "x", "value": 3}))
        assert document["event"] == {
            "name": "Played",
            "label": "x",
            "value": 3,
            "user": {"userId": "u-1"},
        }

    def test_properties_whose_names_are_taken_are_moved_aside(self):
        document = read_one(track("Played", properties={"name": "n", "user": 1, "a": 2}))
        assert document["event"]["name"] == "Played"
        assert document["event"]["user"] == {"userId": "u-1"}
        assert document["event"]["a"] == 2
        assert document["event"]["properties"] == {"name": "n", "user": 1}

    @pytest.mark.parametrize("event", [None, "", 7, {}])
    def test_an_event_without_a_name_is_refused(self, event):
        assert violations(track(event)) == ["/event"]

    @pytest.mark.parametrize("empty", [None, [], {}])
    def test_nothing_and_an_empty_array_stand_for_no_properties(self, empty):
        call = track(properties=empty, context=empty, integrations=empty)
        assert read_one(call)["event"] == {"name": "A", "user": {"userId": "u-1"}}

    @pytest.mark.parametrize("member", ["properties", "context"])
    def test_properties_that_are_no_object_are_refused(self, member):
        assert violations(track(**{member: "text"})) == [f"/{member}"]


class TestOtherCalls:
    def test_page(self):
        call = {
            "type": "page",
            "userId": "u",
            "name": "Home",
            "category": "Docs",
            "properties": {"url": "https://x.example/?a", "search": "?a", "depth": 1},
        }
        event = read_one(call)["event"]
        assert event["name"] == "Viewed Page"
        assert event["page"] == {
            "url": "https://x.example/?a",
            "queryString": "?a",
            "depth": 1,
            "name": "Home",
            "category": "Docs",
        }

    def test_screen(self):
        event = read_one({"type": "screen", "userId": "u", "name": "Main"})["event"]
        assert (event["name"], event["screen"]) == ("Viewed Screen", {"name": "Main"})

    def test_identify(self):
        call = {
            "type": "identify",
            "userId": "u",
            "traits": {"email": "a@example.com", "first_name": "Ann", "userId": "other"},
            "context": {"traits": {"email": "old@example.com", "plan": "pro"}},
        }
        event = read_one(call)["event"]
        assert event["name"] == "Updated Profile Info"
        assert event["user"] == {
            "email": "a@example.com",
            "firstName": "Ann",
            "plan": "pro",
            "userId": "u",
        }

    def test_a_trait_by_our_own_name_wins_over_its_variants(self):
        call = {"type": "identify", "userId": "u", "traits": {"firstName": "A", "first_name": "B"}}
        assert read_one(call)["event"]["user"] == {"firstName": "A", "userId": "u"}

    def test_group(self):
        call = {"type": "group", "userId": "u", "groupId": 7, "traits": {"name": "Acme"}}
        event = read_one(call)["event"]
        assert event["name"] == "Joined Group"
        assert event["group"] == {"id": "7", "traits": {"name": "Acme"}}
        assert event["user"] == {"userId": "u"}

    def test_alias(self):
        event = read_one({"type": "alias", "userId": "u", "previousId": "anon"})["event"]
        assert (event["name"], event["previousId"]) == ("Merged User", "anon")

    @pytest.mark.parametrize(
        ("call", "pointer"),
        [
            ({"type": "group", "userId": "u"}, "/groupId"),
            ({"type": "alias", "userId": "u"}, "/previousId"),
            ({"type": "merge", "userId": "u"}, "/type"),
            ({"type": ["track"], "userId": "u"}, "/type"),
            ({"userId": "u"}, "/type"),
            ({"type": "identify"}, "/userId"),
            ({"batch": [track()]}, "/type"),
            ([], ""),
            (None, ""),
            ("track", ""),
        ],
    )
    def test_what_is_missing_or_wrong_is_named(self, call, pointer):
        assert violations(call) == [pointer]

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/v1/track", "A"),
            ("/v1/t/", "A"),
            ("/v1/page", "Viewed Page"),
            ("/v1/i", "Updated Profile Info"),
            ("/v1/g/", "Joined Group"),
            ("/v1/a", "Merged User"),
            ("/v1/s", "Viewed Screen"),
            ("/api/s/track", "A"),
        ],
    )
    def test_the_path_says_the_type_of_a_call_that_does_not(self, path, kind):
        call = {"event": "A", "userId": "u", "groupId": "g", "previousId": "p"}
        (message,) = read(call, path)
        assert message.document["event"]["name"] == kind

    def test_the_type_of_a_call_wins_over_the_path(self):
        (message,) = read(track(), "/v1/p")
        assert message.document["event"]["name"] == "A"


class TestIds:
    @pytest.mark.parametrize(
        ("given", "kept"), [(7, "7"), (7.0, "7"), ("7", "7"), (2**70, str(2**70))]
    )
    def test_a_number_is_text(self, given, kept):
        assert read_one(track(userId=given))["event"]["user"] == {"userId": kept}

    @pytest.mark.parametrize("none", [None, "", True, {}, ["u"]])
    def test_what_is_no_id_is_none(self, none):
        call = track(userId=none, anonymousId="anon")
        assert read_one(call)["event"]["user"] == {"anonymousId": "anon"}
        assert violations(track(userId=none, anonymousId=None)) == ["/userId"]

    def test_a_message_id_is_the_hit_id(self):
        assert read_one(track(messageId=" m-1 "))["hitId"] == "m-1"
        assert read_one(track(messageId=5))["hitId"] == "5"

    @pytest.mark.parametrize("unusable", [None, "", " ", "x" * 257, "a\x00b", {}, True])
    def test_a_call_without_a_usable_one_gets_one_that_a_repetition_has_too(self, unusable):
        call = track(messageId=unusable, timestamp="2026-11-25T11:59:00Z")
        first = read_one(call)["hitId"]
        assert (
            read_one({**call, "sentAt": "2026-11-25T12:00:00Z", "writeKey": "k"})["hitId"] == first
        )
        assert read_one({**call, "event": "B"})["hitId"] != first
        assert read_one({**call, "timestamp": "2026-11-25T11:59:01Z"})["hitId"] != first

    def test_two_calls_that_nothing_tells_apart_are_two_events(self):
        assert "hitId" not in read_one(track())

    def test_a_batch_that_is_sent_again_is_told_by_its_time(self):
        batch = {"batch": [track()], "sentAt": "2026-11-25T12:00:00Z"}
        ids = {read(batch)[0].document["hitId"] for _ in range(2)}
        assert len(ids) == 1


class TestTime:
    """Received at noon."""

    def sent_at(self, call, **more):
        return read_one(track(**call), **more)["sentAt"]

    def test_without_any_it_is_the_time_of_receipt(self):
        assert self.sent_at({}) == "2026-11-25T12:00:00.000Z"

    @pytest.mark.parametrize("unreadable", ["yesterday", 1795636048124, None, {}, "2026-02-30"])
    def test_so_it_is_with_one_that_cannot_be_read(self, unreadable):
        assert self.sent_at({"timestamp": unreadable}) == "2026-11-25T12:00:00.000Z"

    def test_the_callers_own_is_kept_whatever_the_network_took(self):
        call = {"timestamp": "2026-11-25T11:00:00Z", "sentAt": "2026-11-25T11:59:05Z"}
        assert self.sent_at(call) == "2026-11-25T11:00:00.000Z"
        assert self.sent_at(call, headers=PAGE) == "2026-11-25T11:00:00.000Z"

    def test_rudderstacks_name_for_it_comes_first(self):
        call = {"originalTimestamp": "2026-11-25T11:00:00Z", "timestamp": "2026-11-25T11:30:00Z"}
        assert self.sent_at(call) == "2026-11-25T11:00:00.000Z"

    def test_a_clock_that_is_ahead_is_corrected(self):
        call = {"timestamp": "2100-01-01T00:00:00Z", "sentAt": "2100-01-01T01:00:00Z"}
        assert self.sent_at(call) == "2026-11-25T11:00:00.000Z"

    def test_a_browsers_clock_that_is_behind_is_corrected(self):
        call = {"timestamp": "1970-01-01T00:00:00Z", "sentAt": "1970-01-01T01:00:00Z"}
        assert self.sent_at(call, headers=PAGE) == "2026-11-25T11:00:00.000Z"

    def test_what_an_app_had_kept_for_hours_is_not_moved(self):
        call = {"timestamp": "2026-11-25T08:00:00Z", "sentAt": "2026-11-25T09:00:00Z"}
        assert self.sent_at(call) == "2026-11-25T08:00:00.000Z"

    def test_nothing_happens_after_it_was_received(self):
        assert self.sent_at({"timestamp": "2026-11-25T12:00:30Z"}) == "2026-11-25T12:00:00.000Z"
        assert self.sent_at({"timestamp": "2100-01-01T00:00:00Z"}) == "2026-11-25T12:00:00.000Z"

    def test_a_correction_out_of_all_years_is_none(self):
        call = {"timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-12-31T00:00:00Z"}
        assert self.sent_at(call) == "2026-11-25T12:00:00.000Z"

    def test_the_sdk_may_say_in_a_header_when_it_sent(self):
        (message,) = read(
            track(timestamp="2100-01-01T00:00:00Z"),
            "/v1/track",
            headers={"sentat": "2100-01-01T01:00:00Z"},
        )
        assert message.document["sentAt"] == "2026-11-25T11:00:00.000Z"


class TestContext:
    def test_a_browsers_address_and_agent_are_taken_from_its_request(self):
        context = read_one(track(), headers=PAGE, peer="203.0.113.7")["context"]
        assert (context["ip"], context["userAgent"]) == ("203.0.113.7", "Mozilla/5.0")

    def test_the_calls_own_win(self):
        call = track(context={"ip": "198.51.100.1", "userAgent": "App"})
        context = read_one(call, headers=PAGE, peer="203.0.113.7")["context"]
        assert (context["ip"], context["userAgent"]) == ("198.51.100.1", "App")

    def test_a_servers_address_is_not_its_users(self):
        context = read_one(track(), headers={"user-agent": "analytics-go"}, peer="10.0.0.1")[
            "context"
        ]
        assert "ip" not in context
        assert "userAgent" not in context

    def test_the_batchs_context_is_the_default(self):
        batch = {
            "context": {"library": {"name": "analytics-go"}, "app": "a"},
            "batch": [track(context={"app": "b"})],
        }
        (message,) = read(batch)
        assert message.document["context"]["library"] == {"name": "analytics-go"}
        assert message.document["context"]["app"] == "b"

    def test_the_original_call_is_kept(self):
        call = track(
            "Order Completed", properties={"order_id": "1"}, messageId="m", channel="server"
        )
        assert read_one(call)["context"]["segment"] == {
            "type": "track",
            "event": "Order Completed",
            "userId": "u-1",
            "properties": {"order_id": "1"},
            "channel": "server",
        }


class TestIntegrations:
    def test_they_mean_the_same(self):
        said = {"All": False, "Google Analytics": True, "crm": {"list": 1}}
        assert read_one(track(integrations=said))["integrations"] == said

    def test_the_sdks_own_and_what_is_no_choice_are_left_out(self):
        said = {"Segment.io": True, "a": None, "b": "x", "c": False}
        assert read_one(track(integrations=said))["integrations"] == {"c": False}

    def test_the_batchs_are_the_default(self):
        (message,) = read(
            {"integrations": {"a": False}, "batch": [track(integrations={"b": True})]}
        )
        assert message.document["integrations"] == {"a": False, "b": True}


class TestCommerce:
    def test_names_and_fields_become_segmentstreams(self):
        properties = {
            "product_id": "p1",
            "sku": "S-1",
            "name": "Boots",
            "price": 90,
            "currency": "EUR",
            "quantity": 2,
            "image_url": "https://x.example/b.png",
            "cart_id": "c1",
        }
        event = read_one(track("Product Added", properties=properties))["event"]
        assert event == {
            "name": "Added Product",
            "product": {
                "id": "p1",
                "skuCode": "S-1",
                "name": "Boots",
                "currency": "EUR",
                "unitPrice": 90,
                "unitSalePrice": 90,
                "imageUrl": "https://x.example/b.png",
            },
            "quantity": 2,
            "cart_id": "c1",
            "user": {"userId": "u-1"},
        }

    def test_an_orders_fields(self):
        properties = {
            "order_id": "O-1",
            "affiliation": "web",
            "subtotal": 22,
            "total": 27.5,
            "revenue": 25,
            "shipping": 3,
            "tax": 2,
            "discount": 2.5,
            "coupon": "SPRING",
            "currency": "USD",
            "products": [{"sku": "S-1", "variant": "black", "quantity": 1}, {"product_id": 2}],
            "gift": True,
        }
        event = read_one(track("order  completed", properties=properties))["event"]
        assert event["transaction"] == {
            "orderId": "O-1",
            "affiliation": "web",
            "currency": "USD",
            "subtotal": 22,
            "total": 27.5,
            "tax": 2,
            "shippingCost": 3,
            "voucher": "SPRING",
            "voucherDiscount": 2.5,
            "lineItems": [
                {"product": {"variant": "black", "id": "S-1", "skuCode": "S-1"}, "quantity": 1},
                {"product": {"id": 2}, "quantity": 1},
            ],
        }
        assert event["gift"] is True

    @pytest.mark.parametrize(
        ("name", "properties", "event"),
        [
            (
                "Product List Viewed",
                {
                    "list_id": "l",
                    "list_name": "L",
                    "products": [{"product_id": "1", "position": 2}],
                },
                {
                    "name": "Viewed Product Listing",
                    "listing": {
                        "listId": "l",
                        "listName": "L",
                        "items": [{"position": 2, "id": "1"}],
                    },
                },
            ),
            (
                "Products Searched",
                {"query": "boots"},
                {"name": "Searched Products", "listing": {"query": "boots"}},
            ),
            (
                "Product Clicked",
                {"product_id": "1", "list_id": "l", "position": 3},
                {
                    "name": "Clicked Product",
                    "listItem": {"product": {"id": "1"}, "listId": "l", "position": 3},
                },
            ),
            (
                "Promotion Clicked",
                {"promotion_id": "P", "name": "Sale", "creative": "red", "position": "top"},
                {
                    "name": "Clicked Campaign",
                    "campaign": {"id": "P", "name": "Sale", "design": "red", "position": "top"},
                },
            ),
            (
                "Checkout Started",
                {"value": 9, "currency": "USD", "products": []},
                {
                    "name": "Started Order",
                    "cart": {"currency": "USD", "subtotal": 9, "total": 9, "lineItems": []},
                },
            ),
            ("Signed Up", {"plan": "pro"}, {"name": "Registered", "plan": "pro"}),
            ("Order Cancelled", {"order_id": "1"}, {"name": "Order Cancelled", "order_id": "1"}),
            (
                "Order Refunded",
                {"order_id": "1", "products": "?"},
                {"name": "Refunded Transaction", "transaction": {"orderId": "1", "lineItems": "?"}},
            ),
        ],
    )
    def test_other_events(self, name, properties, event):
        assert read_one(track(name, properties=properties))["event"] == {
            **event,
            "user": {"userId": "u-1"},
        }

    def test_a_project_may_keep_the_names(self):
        properties = {"order_id": "1", "products": [{"product_id": "p"}]}
        event = read_one(track("Order Completed", properties=properties), names="keep")["event"]
        assert event == {"name": "Order Completed", **properties, "user": {"userId": "u-1"}}

    def test_a_complete_order_keeps_to_its_event_type(self):
        properties = {
            "order_id": "O-1",
            "revenue": 25.5,
            "currency": "USD",
            "products": [{"product_id": "p1", "price": 10, "quantity": 2}],
        }
        document = read_one(track("Order Completed", properties=properties))
        assert list(EventTypes().violations(document)) == []


class TestBodies:
    @pytest.mark.parametrize("document", [None, [], "x", 1])
    def test_a_body_must_be_an_object(self, document):
        with pytest.raises(InvalidEvent):
            read(document)

    @pytest.mark.parametrize("batch", [None, {}, "x", 1])
    def test_a_batch_must_be_an_array(self, batch):
        with pytest.raises(InvalidEvent) as caught:
            read({"batch": batch})
        assert caught.value.violations[0].pointer == "/batch"

    def test_a_batch_has_a_limit(self):
        assert len(read({"batch": [{}] * MAX_CALLS})) == MAX_CALLS
        with pytest.raises(TooLarge) as caught:
            read({"batch": [{}] * (MAX_CALLS + 1)})
        assert caught.value.status == 413

    def test_a_call_has_a_limit(self):
        call = track(messageId="m", properties={"a": ""})
        room = 65_536 - len(json.dumps(call, separators=(",", ":")))
        call["properties"] = {"a": "x" * room}
        assert read({"batch": [call]})[0].document is not None
        call["properties"] = {"a": "x" * (room + 1)}
        (message,) = read({"batch": [call]})
        assert message.document is None
        assert message.id == "m"
        assert "65537 bytes" in message.violations[0].detail


class TestKeys:
    def key(self, headers=None, body=None, path="/v1/batch", **more):
        asked = request(path, headers=headers or {}, **more)
        found = SOURCE.key(asked) or SOURCE.key_in(asked, body)
        return found.text if found else None

    def basic(self, credentials):
        return {"authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}

    def test_basic_comes_before_the_body_and_the_query(self):
        body = {"writeKey": "b", "batch": [{"writeKey": "c"}]}
        query = {"writeKey": "q"}
        assert self.key(self.basic("a:"), body, query=query) == "a"
        assert self.key({}, body, query=query) == "b"
        assert self.key({}, {"batch": [1, {"writeKey": "c"}]}, query=query) == "c"
        assert self.key({}, {"batch": []}, query=query) == "q"
        assert self.key({}, {"batch": []}) is None

    @pytest.mark.parametrize("body", [None, [], {"batch": 1}, {"writeKey": 7}, {"batch": [None]}])
    def test_a_body_without_one_has_none(self, body):
        assert self.key({}, body) is None

    def test_jitsus_is_the_first_half_of_its_header(self):
        assert self.key({"x-write-key": "k:secret"}, path="/api/s/track") == "k"

    def test_settings_have_it_in_their_path(self):
        path = "/v1/projects/{key}/settings"
        assert self.key({}, path=path, parameters={"key": "k"}) == "k"
        assert self.key({}, path="/sourceConfig/", query={"writeKey": "k"}) == "k"
