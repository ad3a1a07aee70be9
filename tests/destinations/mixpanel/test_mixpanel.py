from __future__ import annotations

import base64
import json
import logging
import tracemalloc

import pytest

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.mixpanel.destination import HOSTS, MAX_REQUEST_BYTES, Mixpanel
from segmentstream_api.destinations.mixpanel.event import (
    MAX_EVENT_BYTES,
    REFUSED_IDS,
    mixpanel_event,
)
from segmentstream_api.destinations.transport.batch import NO_ROOM
from segmentstream_api.testing import answer
from tests.destinations import events
from tests.destinations.exchange import build, exchange

TOKEN = "mixpanel-project-token"
EMPTY = answer("200 OK", b"{}")
OK = answer("200 OK", b'{"code":200,"num_records_imported":1,"status":"OK"}')
REFUSED = Rejected("HTTP 400: Mixpanel refused it")
TOO_MANY = Rejected("more than 254 properties: Mixpanel refuses the event")


def send(*deliveries, replies=EMPTY, **settings):
    return exchange(Mixpanel, deliveries, replies, **(settings or {"token": TOKEN}))


def sent_event(delivery):
    _, (request,) = send(delivery)
    (event,) = json.loads(request.body)
    return event


def says(status, **body):
    return answer(status, json.dumps(body).encode())


def failing(*records, **more):
    failed = [{"index": index, "field": field} for index, field in records]
    return says("400 Bad Request", code=400, failed_records=failed, **more)


def of(**event):
    """An event with these fields."""
    return events.delivered(
        {"hitId": "h", "event": {"name": "N", "user": {"userId": "u"}, **event}}
    )


# The request


def test_the_documented_example():
    _, (request,) = send(events.documented())
    assert request.line == "POST /import?strict=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    basic = base64.b64encode(f"{TOKEN}:".encode()).decode()
    assert request.headers["authorization"] == f"Basic {basic}"
    assert json.loads(request.body) == [
        {
            "event": "Registered",
            "properties": {
                "time": 1550746570723,
                "distinct_id": "u2783187492",
                "$user_id": "u2783187492",
                "$device_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
                "$insert_id": events.documented().key,
                "ip": "0",
                "category": "Auth",
                "label": "some label",
                "nonInteraction": False,
            },
        }
    ]


def test_a_service_account_names_its_project():
    settings = {"username": "import.account", "secret": "s3cret", "project_id": 4242}
    _, (request,) = send(events.documented(), **settings)
    assert request.line == "POST /import?strict=1&project_id=4242 HTTP/1.1"
    basic = base64.b64encode(b"import.account:s3cret").decode()
    assert request.headers["authorization"] == f"Basic {basic}"


def test_an_anonymous_user_is_a_device():
    assert sent_event(events.anonymous())["properties"] == {
        "time": int(events.RECEIVED_AT * 1000),
        "distinct_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
        "$device_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
        "$insert_id": events.anonymous().key,
        "ip": "0",
    }


def test_a_purchase_is_flat_and_its_lines_are_a_list_of_flat_objects():
    properties = sent_event(events.purchase())["properties"]
    assert properties["transaction.orderId"] == "QA-123456"
    assert properties["transaction.total"] == 25990.5
    (line,) = properties["transaction.lineItems"]
    assert line["product.name"] == "Timberland Boots"
    assert line["quantity"] == 2
    assert properties["ip"] == "203.0.113.7"
    assert properties["time"] == 1554214800000


def test_page_campaign_browser_and_system_have_mixpanels_names():
    properties = sent_event(events.with_context())["properties"]
    assert properties["$current_url"] == "https://shop.example.com/p/123?color=black"
    assert properties["utm_source"] == "google"
    assert properties["ip"] == "2001:db8::7"


def test_the_insert_id_has_mixpanels_form_whatever_the_hit_id():
    insert_id = sent_event(events.hostile())["properties"]["$insert_id"]
    assert insert_id == events.hostile().key
    assert insert_id.isalnum()
    assert len(insert_id.encode()) <= 36


def test_a_hostile_event_cannot_take_the_place_of_what_mixpanel_reads():
    event = sent_event(events.hostile())
    document = events.hostile().document["event"]
    properties = event["properties"]
    assert event["event"] == document["name"]
    assert properties["distinct_id"] == properties["$user_id"] == document["user"]["userId"]
    assert "$device_id" not in properties
    assert properties["time"] == 1769999999123
    assert properties["ip"] == "0"
    assert properties["huge"] == document["huge"]
    assert properties["label"] == document["label"]
    assert properties["odd keys.a.b.c"] == 4
    deep = ".".join(["nested", *(f"level {level}" for level in reversed(range(57))), "end"])
    assert properties[deep] == [1, "two", None]


def test_lists_in_lists_become_text():
    properties = sent_event(of(table=[[1, 2], {"row": [3, {"é": 4}]}]))["properties"]
    assert properties["table"] == ["[1,2]", {"row": '[3,{"é":4}]'}]


def test_several_events_travel_in_one_request():
    outcomes, (request,) = send(*events.numbered(3))
    assert outcomes == [Delivered()] * 3
    ids = [event["properties"]["distinct_id"] for event in json.loads(request.body)]
    assert ids == ["user-0", "user-1", "user-2"]


@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_the_region_says_the_host(region, host):
    assert build(Mixpanel, token="t", region=region).url == f"{host}/import"


# Limits


def test_an_event_without_a_name_is_rejected_and_not_sent():
    outcomes, received = send(events.named(""))
    assert outcomes == [Rejected("event.name is missing: Mixpanel requires it")]
    assert received == []


@pytest.mark.parametrize("id_", [*sorted(REFUSED_IDS), "Anonymous", "NULL"])
def test_an_id_that_mixpanel_refuses_is_left_out_if_there_is_another(id_):
    properties = sent_event(events.named("Seen", userId=id_, anonymousId="a-1"))["properties"]
    assert properties["distinct_id"] == properties["$device_id"] == "a-1"
    assert "$user_id" not in properties


def test_without_any_other_id_the_event_is_rejected_and_the_others_go():
    outcomes, (request,) = send(events.named("Seen", userId="true"), *events.numbered(1))
    assert outcomes == [
        Rejected("userId and anonymousId are among the ids that Mixpanel refuses"),
        Delivered(),
    ]
    assert len(json.loads(request.body)) == 1


@pytest.mark.parametrize(
    ("sent_at", "outcome"),
    [
        ("1970-12-31T23:59:59.999Z", Rejected("sentAt is before 1971: Mixpanel refuses it")),
        ("1971-01-01", Delivered()),
        ("0001-01-01", Rejected("sentAt is before 1971: Mixpanel refuses it")),
    ],
)
def test_an_event_from_before_1971_is_rejected(sent_at, outcome):
    assert send(events.documented(sentAt=sent_at))[0] == [outcome]


def test_an_event_from_the_future_took_place_when_it_came_in():
    event = sent_event(events.documented(sentAt="2999-01-01"))
    assert event["properties"]["time"] == int(events.RECEIVED_AT * 1000)


@pytest.mark.parametrize(("count", "outcome"), [(249, Delivered()), (250, TOO_MANY)])
def test_an_event_has_at_most_254_properties(count, outcome):
    # time, distinct_id, $user_id, $insert_id and ip are the others
    assert send(of(**{f"p{n}": n for n in range(count)}))[0] == [outcome]


@pytest.mark.parametrize(("count", "outcome"), [(254, Delivered()), (255, TOO_MANY)])
def test_an_object_in_a_list_has_at_most_254_properties(count, outcome):
    assert send(of(things=[{f"p{n}": n for n in range(count)}]))[0] == [outcome]


def test_a_list_has_at_most_254_elements():
    outcomes, _ = send(of(things=list(range(254))), of(things=list(range(255))))
    too_long = Rejected("a list of more than 254: Mixpanel refuses the event")
    assert outcomes == [Delivered(), too_long]


def test_names_that_grow_by_nesting_are_found_out_before_they_fill_the_memory():
    delivery = of(**{"k" * 30_000: {str(n): n for n in range(4_000)}})  # 120 MB of names
    tracemalloc.start()
    outcome = mixpanel_event(delivery)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome == TOO_MANY
    assert peak_bytes < 20_000_000


def test_an_event_that_grows_beyond_1_mb_by_its_names_is_rejected():
    (outcome,), _ = send(of(**{"k" * 30_000: {str(n): n for n in range(240)}}))
    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith(f"bytes, Mixpanel takes {MAX_EVENT_BYTES}")


def test_a_request_has_at_most_2_mb_and_the_rest_waits():
    deliveries = [of(label="x" * 60_000, number=n) for n in range(40)]
    outcomes, (request,) = send(*deliveries)
    assert outcomes == [Delivered()] * 33 + [NO_ROOM] * 7
    assert len(request.body) <= MAX_REQUEST_BYTES


# The answer


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (OK, Delivered()),
        (answer("200 OK", b"1"), Delivered()),
        (says("200 OK", num_records_imported=0), Retry("Mixpanel imported only a part")),
        (says("200 OK", code=400), Rejected("HTTP 400")),
        (says("200 OK", code=401), Retry("HTTP 401", misconfigured=True)),
        (answer("400 Bad Request", b"not json"), Rejected("HTTP 400")),
        (failing((0, "properties.utm_source")), REFUSED),
        (failing((0, "properties.time")), Rejected("HTTP 400: Mixpanel refused its time")),
        (failing((0, "event")), Rejected("HTTP 400: Mixpanel refused its name")),
        (answer("401 Unauthorized"), Retry("HTTP 401", misconfigured=True)),
        (answer("413 Content Too Large"), Rejected("HTTP 413")),
        (answer("429 Too Many Requests"), Retry("HTTP 429")),
        (answer("502 Bad Gateway"), Retry("HTTP 502")),
        (answer("503 Busy", Retry_After="3"), Retry("HTTP 503", after_seconds=3)),
    ],
)
def test_an_answer_to_one_event(reply, outcome):
    assert send(events.documented(), replies=reply)[0] == [outcome]


def test_those_that_fail_validation_are_rejected_and_the_others_were_imported():
    reply = failing((0, "properties.a"), (2, "properties.b"), (9, "x"), num_records_imported=1)
    outcomes, _ = send(*events.numbered(3), replies=reply)
    assert outcomes == [REFUSED, Delivered(), REFUSED]


def test_if_fewer_were_imported_than_passed_validation_those_are_tried_again():
    reply = failing((0, "properties.a"), num_records_imported=1)
    outcomes, _ = send(*events.numbered(3), replies=reply)
    assert outcomes == [REFUSED, *[Retry("Mixpanel imported only a part")] * 2]


def test_the_places_that_are_named_count_without_what_was_not_sent():
    first, second = events.numbered(2)
    outcomes, _ = send(first, events.named(""), second, replies=failing((1, "x")))
    assert outcomes[0] == Delivered()
    assert outcomes[2] == REFUSED


@pytest.mark.parametrize(
    "reply",
    [
        answer("400 Bad Request"),
        says("400 Bad Request", failed_records=7),
        says("400 Bad Request", failed_records=["x", {"index": "0"}, {"index": None}, {}]),
        failing((5, "x")),
        answer("413 Content Too Large"),
    ],
)
def test_a_refused_request_that_names_nobody_is_tried_again_one_by_one(reply):
    outcomes, _ = send(*events.numbered(2), replies=reply)
    status = reply[9:12].decode()
    assert outcomes == [Retry(f"HTTP {status} to 2 events at once: each goes alone next time")] * 2


# Settings


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"token": "t"}, []),
        ({"username": "u", "secret": "s", "project_id": "1"}, []),
        ({}, ["either token, or a service account, of which username is missing"]),
        (
            {"username": "u", "secret": "s"},
            ["either token, or a service account, of which project_id is missing"],
        ),
        ({"token": "t", "secret": "s"}, ["secret: token is enough, take one or the other"]),
        ({"token": "t", "base_url": "https://"}, ["base_url: it names no host"]),
    ],
)
def test_the_check_wants_a_token_or_a_whole_service_account(settings, problems):
    assert build(Mixpanel, **settings).check() == problems


def test_the_logs_and_reasons_show_nothing_that_mixpanel_echoes(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes, _ = send(events.documented(), replies=failing((0, TOKEN)))
    assert TOKEN not in f"{caplog.text} {outcomes}"
