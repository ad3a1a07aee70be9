from __future__ import annotations

import json
import logging

import pytest

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.posthog import HOSTS, MAX_REQUEST_BYTES, PostHog
from segmentstream_api.testing import answer

from . import events
from .exchange import build, exchange

API_KEY = "phc_posthog-api-key"
OK = answer("200 OK", b'{"status":1}')
OVER_QUOTA = answer("200 OK", b'{"status":1,"quota_limited":["events"]}')


def send(*deliveries, replies=OK):
    return exchange(PostHog, deliveries, replies, api_key=API_KEY)


def sent_event(delivery):
    _, (request,) = send(delivery)
    return json.loads(request.body)


# The request


def test_the_documented_example():
    _, (request,) = send(events.documented())
    assert request.line == "POST /i/v0/e/ HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert json.loads(request.body) == {
        "api_key": API_KEY,
        "event": "Registered",
        "distinct_id": "u2783187492",
        "uuid": "4c59d330-35c7-11e9-8f27-8d1d7d4690e7",
        "timestamp": "2019-02-21T10:56:10.723Z",
        "properties": {
            "category": "Auth",
            "label": "some label",
            "nonInteraction": False,
            "$set": {
                "emailHash": "eff8c37862c7a2f0019448289bdd0869c30ae7f07060e4be9d",
                "firstName": "John",
                "lastName": "Doe",
            },
            "$device_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
            "$geoip_disable": True,
            "$lib": "segmentstream-api",
        },
    }


def test_an_anonymous_user_gets_no_person_profile():
    event = sent_event(events.anonymous())
    assert event["distinct_id"] == "80ddb140-35c6-11e9-bd56-eb1c05e6de18"
    assert event["uuid"] == events.HIT_ID
    assert event["timestamp"] == events.RECEIVED_AT_TEXT
    assert event["properties"] == {
        "$process_person_profile": False,
        "$geoip_disable": True,
        "$lib": "segmentstream-api",
    }


def test_what_is_known_of_an_anonymous_user_makes_no_person_either():
    event = sent_event(events.named("Seen", anonymousId="a", firstName="John"))
    assert event["properties"]["$process_person_profile"] is False
    assert "$set" not in event["properties"]


def test_a_purchase_keeps_everything_that_it_says():
    event = sent_event(events.purchase())
    transaction = events.purchase().document["event"]["transaction"]
    assert event["timestamp"] == "2019-04-02T14:20:00.000Z"
    assert event["properties"]["transaction"] == transaction
    assert event["properties"]["$ip"] == "203.0.113.7"
    assert event["properties"]["$raw_user_agent"] == "crm/1.0"
    assert event["properties"]["$set"] == {"email": "john.doe@example.com"}
    assert not event["properties"].keys() & {"$geoip_disable", "$process_person_profile"}


def test_page_campaign_browser_and_system_have_posthogs_names():
    properties = sent_event(events.with_context())["properties"]
    assert properties["$current_url"] == "https://shop.example.com/p/123?color=black"
    assert properties["utm_source"] == "google"
    assert properties["$ip"] == "2001:db8::7"


def test_a_hostile_event_cannot_take_the_place_of_what_posthog_reads():
    event = sent_event(events.hostile())
    document = events.hostile().document["event"]
    assert event["api_key"] == API_KEY
    assert event["event"] == document["name"]
    assert event["distinct_id"] == document["user"]["userId"]
    assert event["uuid"] == "e35d6263-7033-5640-87b7-ba7d0f0222ad"
    assert event["timestamp"] == "2026-02-02T02:39:59.123456Z"
    for name in ("nested", "huge", "odd keys", "label", "token", "distinct_id", "batch"):
        assert event["properties"][name] == document[name]
    assert event["properties"]["$geoip_disable"] is True
    assert not event["properties"].keys() & {"$ip", "$raw_user_agent", "$device_id"}


def test_an_event_from_the_future_took_place_when_it_came_in():
    # PostHog gives an event of more than 23 hours ahead the time of its arrival at PostHog.
    event = sent_event(events.documented(sentAt="2999-01-01"))
    assert event["timestamp"] == events.RECEIVED_AT_TEXT


def test_several_events_travel_as_one_batch():
    outcomes, (request,) = send(*events.numbered(3))
    assert outcomes == [Delivered()] * 3
    assert request.line == "POST /batch/ HTTP/1.1"
    body = json.loads(request.body)
    assert body["api_key"] == API_KEY
    assert [event["distinct_id"] for event in body["batch"]] == ["user-0", "user-1", "user-2"]
    assert not any("api_key" in event for event in body["batch"])


def test_an_event_is_the_same_alone_and_in_a_batch():
    first, second = events.numbered(2)
    _, (request,) = send(first, second)
    assert {"api_key": API_KEY, **json.loads(request.body)["batch"][1]} == sent_event(second)


def test_a_full_batch_of_the_largest_events_fits_into_a_request():
    assert PostHog.batch_size * (events.LARGEST_BODY_BYTES + 1_000) < MAX_REQUEST_BYTES


@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_the_region_says_the_host(region, host):
    assert build(PostHog, api_key="k", region=region).url == host


# Limits


def test_an_event_without_a_name_is_rejected_and_does_not_keep_back_the_others():
    outcomes, (request,) = send(events.named(""), *events.numbered(1))
    assert outcomes == [
        Rejected("event.name is missing: PostHog drops events without one"),
        Delivered(),
    ]
    assert request.line == "POST /i/v0/e/ HTTP/1.1"


def test_an_id_that_posthog_would_cut_is_rejected():
    outcomes, _ = send(events.named("Seen", userId="u" * 200))
    assert outcomes == [Delivered()]
    outcomes, received = send(events.named("Seen", userId="u" * 201))
    assert outcomes == [Rejected("the user's id has more than 200 characters")]
    assert received == []


# The answer


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer("200 OK", b'{"status":1}'), Delivered()),
        (answer("200 OK", b'{"status":"Ok","quota_limited":["recordings"]}'), Delivered()),
        (OVER_QUOTA, Retry("HTTP 200: over the project's quota", misconfigured=True)),
        (answer("204 No Content"), Delivered()),
        (answer("400 Bad Request", b"failed to parse request"), Rejected("HTTP 400")),
        (answer("401 Unauthorized", b"API key is not valid"), Retry("HTTP 401", None, True)),
        (answer("413 Payload Too Large"), Rejected("HTTP 413")),
        (answer("429 Too Many Requests", Retry_After="9"), Retry("HTTP 429", after_seconds=9)),
        (answer("500 Internal Server Error"), Retry("HTTP 500")),
        (answer("503 Service Unavailable", b"please retry"), Retry("HTTP 503")),
    ],
)
def test_an_answer_to_one_event(reply, outcome):
    assert send(events.documented(), replies=reply)[0] == [outcome]


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Payload Too Large"])
def test_a_refused_batch_is_tried_again_one_by_one(status):
    outcomes, _ = send(*events.numbered(2), replies=answer(status))
    reason = f"HTTP {status[:3]} to 2 events at once: each goes alone next time"
    assert outcomes == [Retry(reason)] * 2


def test_a_wrong_key_is_wrong_for_the_whole_batch():
    outcomes, _ = send(*events.numbered(2), replies=answer("401 Unauthorized"))
    assert outcomes == [Retry("HTTP 401", misconfigured=True)] * 2


# Settings


def test_a_key_with_quotes_cannot_change_the_request():
    _, (request,) = exchange(PostHog, [events.documented()], api_key='","event":"x')
    assert json.loads(request.body)["api_key"] == '","event":"x'


def test_the_check_finds_a_bad_base_url():
    assert build(PostHog, api_key="k", base_url="https://").check() == [
        "base_url: it names no host"
    ]


def test_the_logs_show_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes, _ = send(events.documented(), replies=lambda request: [answer("400 X", request.body)])
    assert API_KEY not in f"{caplog.text} {outcomes}"
