from __future__ import annotations

import json
import logging

import pytest

from segmentstream_api.destinations.amplitude.destination import (
    HOSTS,
    MAX_REQUEST_BYTES,
    Amplitude,
)
from segmentstream_api.destinations.amplitude.event import REFUSED_IDS
from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.testing import answer
from tests.destinations import events
from tests.destinations.exchange import build, exchange

API_KEY = "amplitude-api-key"
OK = answer("200 OK", b'{"code":200,"events_ingested":1}')
NOT_TAKEN = Retry("HTTP 400: Amplitude refused another event of the batch")


def send(*deliveries, replies=OK):
    return exchange(Amplitude, deliveries, replies, api_key=API_KEY)


def sent_event(delivery):
    _, (request,) = send(delivery)
    (event,) = json.loads(request.body)["events"]
    return event


def says(status, **body):
    return answer(status, json.dumps(body).encode())


# The request


def test_the_documented_example():
    _, (request,) = send(events.documented())
    assert request.line == "POST /2/httpapi HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert json.loads(request.body) == {
        "api_key": API_KEY,
        "options": {"min_id_length": 1},
        "events": [
            {
                "event_type": "Registered",
                "user_id": "u2783187492",
                "device_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
                "time": 1550746570723,
                "insert_id": events.documented().key,
                "event_properties": {
                    "category": "Auth",
                    "label": "some label",
                    "nonInteraction": False,
                },
                "user_properties": {
                    "emailHash": "eff8c37862c7a2f0019448289bdd0869c30ae7f07060e4be9d",
                    "firstName": "John",
                    "lastName": "Doe",
                },
            }
        ],
    }


def test_an_anonymous_user_is_a_device():
    assert sent_event(events.anonymous()) == {
        "event_type": "Registered",
        "device_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
        "time": int(events.RECEIVED_AT * 1000),
        "insert_id": events.anonymous().key,
        "event_properties": {},
    }


def test_the_time_is_that_of_the_event_even_if_it_is_yet_to_come():
    assert sent_event(events.documented(sentAt="2999-01-01"))["time"] == 32472144000000


def test_a_purchase_has_its_revenue():
    event = sent_event(events.purchase())
    transaction = events.purchase().document["event"]["transaction"]
    assert event["revenue"] == 25990.5
    assert event["event_properties"]["transaction"] == transaction
    assert event["user_properties"] == {"email": "john.doe@example.com"}
    assert event["ip"] == "203.0.113.7"
    assert event["time"] == 1554214800000


def test_a_refund_takes_revenue_away_and_other_events_have_none():
    transaction = {"orderId": "1", "total": 10.5}
    user = {"userId": "u"}
    refund = {"name": "Refunded Transaction", "transaction": transaction, "user": user}
    update = {"name": "Updated Transaction", "transaction": transaction, "user": user}
    assert sent_event(events.delivered({"event": refund}))["revenue"] == -10.5
    negative = refund | {"transaction": {**transaction, "total": -10.5}}
    assert sent_event(events.delivered({"event": negative}))["revenue"] == -10.5
    assert "revenue" not in sent_event(events.delivered({"event": update}))


def test_language_system_and_device_are_taken_from_the_context():
    device = {"type": "mobile", "vendor": "Apple", "model": "iPhone"}
    context = {"locale": "en-US", "os": {"name": "iOS", "version": "19"}, "device": device}
    assert (
        sent_event(events.documented(context=context)).items()
        >= {
            "language": "en-US",
            "os_name": "iOS",
            "os_version": "19",
            "device_manufacturer": "Apple",
            "device_model": "iPhone",
        }.items()
    )


def test_a_hostile_event_arrives_with_what_lies_deeper_than_40_levels_as_text():
    event = sent_event(events.hostile())
    document = events.hostile().document["event"]
    assert event["event_type"] == document["name"]
    assert event["user_id"] == document["user"]["userId"]
    assert not event.keys() & {"device_id", "ip", "language", "os_name"}
    assert event["event_properties"]["huge"] == document["huge"]
    assert event["event_properties"]["odd keys"] == document["odd keys"]
    assert event["event_properties"]["label"] == document["label"]
    nested = event["event_properties"]["nested"]
    for level in reversed(range(18, 57)):  # the properties themselves are the first of 40
        nested = nested[f"level {level}"]
    assert json.loads(nested)["level 17"]["level 16"]


def test_several_events_travel_as_one_batch():
    outcomes, (request,) = send(*events.numbered(3))
    assert outcomes == [Delivered()] * 3
    assert request.line == "POST /batch HTTP/1.1"
    body = json.loads(request.body)
    assert body["api_key"] == API_KEY
    assert body["options"] == {"min_id_length": 1}
    assert [event["user_id"] for event in body["events"]] == ["user-0", "user-1", "user-2"]


def test_a_full_batch_of_the_largest_events_fits_into_a_request():
    assert Amplitude.batch_size * (events.LARGEST_BODY_BYTES + 1_000) < MAX_REQUEST_BYTES


@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_the_region_says_the_host(region, host):
    assert build(Amplitude, api_key="k", region=region).url == host


# Limits


def test_an_event_without_a_name_is_rejected_and_not_sent():
    outcomes, received = send(events.named(None))
    assert outcomes == [Rejected("event.name is missing: Amplitude's event_type is required")]
    assert received == []


@pytest.mark.parametrize("id_", [*sorted(REFUSED_IDS), "Anonymous", "NULL"])
def test_an_id_that_amplitude_refuses_is_left_out_if_there_is_another(id_):
    event = sent_event(events.named("Seen", userId=id_, anonymousId="a-1"))
    assert event["device_id"] == "a-1"
    assert "user_id" not in event


def test_without_any_other_id_the_event_is_rejected_and_the_others_go():
    outcomes, (request,) = send(
        events.named("Seen", userId="null", anonymousId="0"), *events.numbered(1)
    )
    assert outcomes == [
        Rejected("userId and anonymousId are among the ids that Amplitude refuses"),
        Delivered(),
    ]
    assert len(json.loads(request.body)["events"]) == 1


# The answer


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (OK, Delivered()),
        (says("200 OK", code=400, error="bad"), Rejected("HTTP 400")),
        (answer("400 Bad Request", b"not json"), Rejected("HTTP 400")),
        (
            says("400 Bad Request", code=400, events_with_invalid_fields={"time": [0]}),
            Rejected("HTTP 400: it has invalid fields"),
        ),
        (
            says("400 Bad Request", code=400, events_with_missing_fields={"event_type": [0]}),
            Rejected("HTTP 400: it has missing fields"),
        ),
        (
            says("400 Bad Request", code=400, events_with_invalid_id_lengths={"user_id": [0]}),
            Rejected("HTTP 400: it has invalid id lengths"),
        ),
        (
            says("400 Bad Request", code=400, silenced_events=[0], silenced_devices=["a"]),
            Rejected("HTTP 400: its device is silenced"),
        ),
        (
            says("400 Bad Request", code=400, error=f"Invalid API key: {API_KEY}"),
            Retry("HTTP 400: the API key is not valid", misconfigured=True),
        ),
        (
            says("400 Bad Request", code=400, missing_field="api_key"),
            Retry("HTTP 400: the API key is not valid", misconfigured=True),
        ),
        (answer("403 Forbidden"), Retry("HTTP 403", misconfigured=True)),
        (says("413 Payload Too Large", code=413), Rejected("HTTP 413")),
        (
            says("429 Too Many Requests", code=429, eps_threshold=1000, throttled_users={}),
            Retry("HTTP 429", after_seconds=30),
        ),
        (answer("500 Internal Server Error"), Retry("HTTP 500")),
        (answer("502 Bad Gateway"), Retry("HTTP 502")),
        (answer("503 Service Unavailable"), Retry("HTTP 503")),
        (answer("504 Gateway Timeout"), Retry("HTTP 504")),
    ],
)
def test_an_answer_to_one_event(reply, outcome):
    assert send(events.documented(), replies=reply)[0] == [outcome]


@pytest.mark.parametrize(
    "named",
    [
        {"throttled_users": {"user-1": 4000}, "throttled_events": [1]},
        {"throttled_devices": {"d": 4000}, "throttled_events": [1]},
        {"exceeded_daily_quota_users": {"user-1": 500_200}},
        {"exceeded_daily_quota_devices": {"d": 500_200}},
    ],
)
def test_one_user_who_sends_too_much_does_not_hold_up_everybody(named):
    reply = says("429 Too Many Requests", code=429, **named)
    outcomes, _ = send(*events.numbered(2), replies=reply)
    assert outcomes == [Retry("HTTP 429: a user or device sends too much", None)] * 2


def test_of_a_refused_batch_the_named_events_are_rejected_and_the_others_tried_again():
    reply = says(
        "400 Bad Request",
        code=400,
        events_with_invalid_fields={"time": [1], "ip": [1, 3]},
        events_with_missing_fields={"event_type": [0]},
        silenced_events=[4, 99, -1, "2", True],
    )
    outcomes, _ = send(*events.numbered(5), replies=reply)
    assert outcomes == [
        Rejected("HTTP 400: it has missing fields"),
        Rejected("HTTP 400: it has invalid fields"),
        NOT_TAKEN,
        Rejected("HTTP 400: it has invalid fields"),
        Rejected("HTTP 400: its device is silenced"),
    ]


def test_the_places_that_are_named_count_without_what_was_not_sent():
    reply = says("400 Bad Request", code=400, silenced_events=[1])
    first, second = events.numbered(2)
    outcomes, _ = send(first, events.named(""), second, replies=reply)
    assert outcomes[0] == NOT_TAKEN
    assert outcomes[2] == Rejected("HTTP 400: its device is silenced")


@pytest.mark.parametrize(
    "reply",
    [
        answer("400 Bad Request"),
        says("400 Bad Request", events_with_invalid_fields={"time": [7]}),
        says("400 Bad Request", events_with_invalid_fields=["time"], silenced_events={"0": 1}),
        answer("413 Payload Too Large"),
    ],
)
def test_a_refused_batch_that_names_nobody_is_tried_again_one_by_one(reply):
    outcomes, _ = send(*events.numbered(2), replies=reply)
    status = reply[9:12].decode()
    assert outcomes == [Retry(f"HTTP {status} to 2 events at once: each goes alone next time")] * 2


def test_a_wrong_key_is_wrong_for_the_whole_batch():
    reply = says("400 Bad Request", code=400, error="Invalid API key: x")
    outcomes, _ = send(*events.numbered(2), replies=reply)
    assert outcomes == [Retry("HTTP 400: the API key is not valid", misconfigured=True)] * 2


# Settings


def test_the_check_finds_a_bad_base_url():
    assert build(Amplitude, api_key="k", base_url="https://").check() == [
        "base_url: it names no host"
    ]


def test_the_logs_and_reasons_show_nothing_that_amplitude_echoes(caplog):
    caplog.set_level(logging.DEBUG)
    echo = {"error": f"no {API_KEY}", "events_with_invalid_fields": {API_KEY: [0]}}
    outcomes, _ = send(events.documented(), replies=says("400 Bad Request", **echo))
    assert API_KEY not in f"{caplog.text} {outcomes}"
