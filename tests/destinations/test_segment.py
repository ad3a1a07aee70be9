from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.segment import HOSTS, MAX_BATCH_BYTES, Segment
from segmentstream_api.destinations.transport.batch import NO_ROOM
from segmentstream_api.testing import answer

from . import events
from .exchange import build, exchange

OK = answer("200 OK", b'{"success":true}')
WRITE_KEY = "segment-write-key"


def send(*deliveries, replies=OK, write_key=WRITE_KEY):
    return exchange(Segment, deliveries, replies, write_key=write_key)


def call(delivery, **options):
    _, (request,) = send(delivery, **options)
    return json.loads(request.body)


def sized(size):
    """An event whose call has about so many bytes, and exactly as many more as `size` grows."""
    return events.delivered(
        {
            "hitId": f"hit-{size}",
            "event": {"label": "x" * size, "name": "Big", "user": {"userId": "u"}},
        }
    )


# The request


def test_the_documented_example():
    _, (request,) = send(events.documented())
    assert request.line == "POST /v1/track HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    basic = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()
    assert request.headers["authorization"] == f"Basic {basic}"
    sent = json.loads(request.body)
    assert len(sent.pop("messageId")) == 64
    assert sent == {
        "type": "track",
        "timestamp": "2019-02-21T10:56:10.723Z",
        "userId": "u2783187492",
        "anonymousId": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
        "event": "Registered",
        "properties": {"category": "Auth", "label": "some label", "nonInteraction": False},
        "context": {
            "traits": {
                "emailHash": "eff8c37862c7a2f0019448289bdd0869c30ae7f07060e4be9d",
                "firstName": "John",
                "lastName": "Doe",
            }
        },
    }


def test_an_anonymous_user_has_no_user_id_and_the_time_of_its_arrival():
    sent = call(events.anonymous())
    assert sent["anonymousId"] == "80ddb140-35c6-11e9-bd56-eb1c05e6de18"
    assert "userId" not in sent
    assert sent["timestamp"] == events.RECEIVED_AT_TEXT
    assert sent["context"] == {}


def test_a_purchase_keeps_everything_that_it_says():
    sent = call(events.purchase())
    document = events.purchase().document
    assert sent["event"] == "Completed Transaction"
    assert sent["timestamp"] == "2019-04-02T14:20:00.000Z"
    assert sent["properties"]["transaction"] == document["event"]["transaction"]
    assert sent["context"] == {
        "ip": "203.0.113.7",
        "userAgent": "crm/1.0",
        "traits": {"email": "john.doe@example.com"},
    }
    assert sent["integrations"] == {"Google Analytics": {"clientId": "1033501218.1368477899"}}


def test_the_context_goes_on_as_it_is():
    assert call(events.with_context())["context"] == events.with_context().document["context"]


def test_a_hostile_event_arrives_whole():
    sent = call(events.hostile(30_000))
    document = events.hostile(30_000).document
    assert sent["event"] == "Größe gewählt 🛒"
    assert sent["userId"] == "'; DROP TABLE events; -- \u0000 🙂"
    assert "anonymousId" not in sent  # it is a number
    assert sent["timestamp"] == "2026-02-02T02:39:59.123456Z"
    assert sent["properties"] == {
        key: value for key, value in document["event"].items() if key not in {"name", "user"}
    }
    assert "ip" not in sent["context"]  # it is none that is valid everywhere


def test_sent_at_is_never_sent_because_segment_takes_it_for_the_senders_clock():
    assert "sentAt" not in call(events.documented())


def test_several_events_travel_as_one_batch():
    outcomes, (request,) = send(*events.numbered(3))
    assert outcomes == [Delivered()] * 3
    assert request.line == "POST /v1/batch HTTP/1.1"
    batch = json.loads(request.body)
    assert list(batch) == ["batch"]
    assert [item["userId"] for item in batch["batch"]] == ["user-0", "user-1", "user-2"]
    assert {item["type"] for item in batch["batch"]} == {"track"}


def test_a_call_is_the_same_alone_and_in_a_batch():
    first, second = events.numbered(2)
    _, (request,) = send(first, second)
    assert json.loads(request.body)["batch"][1] == call(second)


def test_options_for_this_destination_replace_the_integrations_that_segment_gets():
    document: dict[str, Any] = {
        "hitId": "h",
        "event": {"name": "Seen", "user": {"userId": "u"}},
        "integrations": {"All": False, "segment": {"integrations": {"Mixpanel": True}}},
    }
    plain = events.delivered(document)
    optioned = events.delivered(document, options=document["integrations"]["segment"])
    assert call(plain)["integrations"] == document["integrations"]
    assert call(optioned)["integrations"] == {"Mixpanel": True}


def test_an_event_can_be_renamed():
    renamed = events.delivered(
        {"event": {"name": "Registered", "user": {"userId": "u"}}},
        rename={"Registered": "Signed Up"},
    )
    assert call(renamed)["event"] == "Signed Up"


@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_the_region_says_the_host(region, host):
    assert build(Segment, write_key="k", region=region).url == host


# The message id


def test_the_message_id_is_the_same_at_every_attempt():
    assert call(events.documented())["messageId"] == call(events.documented())["messageId"]


def test_the_message_id_differs_between_events_and_between_sources():
    # Segment drops what has the message id of any other event of any of its customers.
    ids = {
        call(events.documented())["messageId"],
        call(events.purchase())["messageId"],
        call(events.documented(), write_key="another-key")["messageId"],
    }
    assert len(ids) == 3


def test_the_message_id_shows_neither_the_write_key_nor_the_hit_id():
    _, (request,) = send(events.documented())
    assert WRITE_KEY.encode() not in request.body
    assert events.documented().document["hitId"].encode() not in request.body


# Limits


@pytest.mark.parametrize("name", [None, "", 5])
def test_an_event_without_a_name_is_rejected_and_not_sent(name):
    outcomes, received = send(events.named(name))
    assert outcomes == [Rejected("event.name is missing: a track call must have one")]
    assert received == []


def test_an_event_of_more_than_32_kb_is_rejected_and_does_not_keep_back_the_others():
    room = 32 * 1024 - len(json.dumps(call(sized(0)), separators=(",", ":")))
    outcomes, (request,) = send(sized(room), sized(room + 1))
    assert outcomes == [
        Delivered(),
        Rejected("the event has 32769 bytes, Segment takes 32768"),
    ]
    assert request.line == "POST /v1/track HTTP/1.1"
    assert len(request.body) == 32 * 1024


def test_the_largest_event_is_over_the_limit():
    (outcome,), received = send(events.hostile())
    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("bytes, Segment takes 32768")
    assert received == []


def test_a_batch_has_at_most_500_kb_and_the_rest_waits():
    deliveries = [sized(31_000 + n) for n in range(20)]
    outcomes, (request,) = send(*deliveries)
    assert outcomes == [Delivered()] * 16 + [NO_ROOM] * 4
    assert 480_000 < len(request.body) <= MAX_BATCH_BYTES


# The answer


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer("200 OK", b'{"success":true}'), Delivered()),
        (answer("200 OK", b"OK"), Delivered()),
        (answer("200 OK", b'{"success":false}'), Retry("HTTP 200 without success")),
        (answer("400 Bad Request", b'{"success":false}'), Rejected("HTTP 400")),
        (answer("401 Unauthorized", b"Invalid Write Key"), Retry("HTTP 401", misconfigured=True)),
        (answer("404 Not Found", b"Source is disabled"), Retry("HTTP 404", misconfigured=True)),
        (answer("413 Content Too Large"), Rejected("HTTP 413")),
        (
            answer("429 Too Many Requests", Retry_After="7", X_RateLimit_Reset="7"),
            Retry("HTTP 429", after_seconds=7),
        ),
        (answer("500 Internal Server Error"), Retry("HTTP 500")),
        (answer("503 Service Unavailable"), Retry("HTTP 503")),
    ],
)
def test_an_answer_to_one_event(reply, outcome):
    assert send(events.documented(), replies=reply)[0] == [outcome]


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large"])
def test_a_refused_batch_is_tried_again_one_by_one(status):
    outcomes, _ = send(*events.numbered(2), replies=answer(status))
    reason = f"HTTP {status[:3]} to 2 events at once: each goes alone next time"
    assert outcomes == [Retry(reason)] * 2


def test_a_wrong_key_is_wrong_for_the_whole_batch():
    outcomes, _ = send(*events.numbered(2), replies=answer("401 Unauthorized"))
    assert outcomes == [Retry("HTTP 401", misconfigured=True)] * 2


# Settings


def test_the_check_finds_a_bad_base_url():
    assert build(Segment, write_key="k", base_url="https://").check() == [
        "base_url: it names no host"
    ]


def test_the_logs_show_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes, _ = send(events.documented(), replies=lambda request: [answer("500 X", request.body)])
    assert WRITE_KEY not in f"{caplog.text} {outcomes}"
