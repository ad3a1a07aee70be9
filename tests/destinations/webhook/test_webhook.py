from __future__ import annotations

import base64
import logging

import pytest
import standardwebhooks
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.webhook.destination import Webhook
from segmentstream_api.destinations.webhook.signature import signed_headers
from segmentstream_api.testing import Peer, answer, complete, delivery

OK = answer("204 No Content")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def webhook(url="https://example.com/hook", clock=None, **settings):
    return Webhook(
        "crm",
        complete(Webhook.settings_schema, {"url": url, "timeout_seconds": 2, **settings}),
        **({"clock": clock} if clock else {}),
    )


@pytest.fixture
def send():
    """Sends one event through a new webhook."""

    def send(url, number=1, clock=None, **settings):
        destination = webhook(url, clock, **settings)
        try:
            (outcome,) = destination.send([delivery(number)])
        finally:
            destination.close()
        return outcome

    return send


# Signatures


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        (
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            OTHER_SECRET,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_the_vectors_of_standard_webhooks_are_signed_alike(
    secret, message_id, timestamp, body, signature
):
    assert signed_headers(message_id, timestamp, body, [secret]) == {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def test_the_receivers_library_accepts_the_request(send):
    with Peer(OK) as peer:
        send(peer.url, secret=SECRET)
    (request,) = peer.received
    verified = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert verified == delivery(1).document


def test_every_secret_of_a_rotation_signs_so_that_either_is_accepted(send):
    with Peer(OK) as peer:
        send(peer.url, secret=[OTHER_SECRET, SECRET])
    (request,) = peer.received
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OTHER_SECRET):
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + "A" * 32).verify(request.body, request.headers)


def test_a_plain_text_secret_is_the_key_itself(send):
    with Peer(OK) as peer:
        send(peer.url, secret="correct horse battery staple")
    (request,) = peer.received
    key = base64.b64encode(b"correct horse battery staple").decode()
    standardwebhooks.Webhook(key).verify(request.body, request.headers)


def test_without_a_secret_there_is_no_signature(send):
    with Peer(OK) as peer:
        assert send(peer.url) == Delivered()
    assert "webhook-signature" not in peer.received[0].headers
    assert "webhook-id" in peer.received[0].headers


# The request


def test_the_body_is_the_event_byte_for_byte(send):
    with Peer(OK) as peer:
        send(f"{peer.url}/hooks/tracking?source=1")
    (request,) = peer.received
    assert request.line == "POST /hooks/tracking?source=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.body == delivery(1).body


def test_an_event_keeps_its_webhook_id_at_every_attempt_and_gets_the_time_of_each(send):
    with Peer(OK) as peer:
        send(peer.url, clock=lambda: 1_700_000_000.9)
        send(peer.url, clock=lambda: 1_700_000_060.0)
        send(peer.url, number=2, clock=lambda: 1_700_000_060.0)
    ids = [request.headers["webhook-id"] for request in peer.received]
    assert ids == ["msg_" + "1".zfill(32), "msg_" + "1".zfill(32), "msg_" + "2".zfill(32)]
    times = [request.headers["webhook-timestamp"] for request in peer.received]
    assert times == ["1700000000", "1700000060", "1700000060"]


def test_more_headers_can_be_set_but_not_those_of_the_webhook_itself(send):
    headers = {"Authorization": "Bearer abc", "content-type": "text/plain", "Webhook-Id": "mine"}
    with Peer(OK) as peer:
        send(peer.url, headers=headers)
    (request,) = peer.received
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"].startswith("msg_")


# The answer


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", Delivered()),
        ("400 Bad Request", Rejected("HTTP 400")),
        ("401 Unauthorized", Retry("HTTP 401", misconfigured=True)),
        ("409 Conflict", Retry("HTTP 409")),
        ("423 Locked", Retry("HTTP 423")),
        ("424 Failed Dependency", Retry("HTTP 424")),
        ("451 Unavailable", Retry("HTTP 451", misconfigured=True)),
        ("500 Internal Server Error", Retry("HTTP 500")),
    ],
)
def test_an_answer_means_what_it_usually_means(send, status, outcome):
    with Peer(answer(status)) as peer:
        assert send(peer.url) == outcome


def test_a_receiver_that_is_gone_is_asked_again_in_an_hour_and_its_events_are_kept(send):
    with Peer(answer("410 Gone")) as peer:
        assert send(peer.url) == Retry(
            "HTTP 410: the receiver has switched itself off",
            after_seconds=3600,
            misconfigured=True,
        )


def test_a_date_in_retry_after_counts_from_the_clock_of_the_webhook(send):
    with Peer(answer("503 Busy", Retry_After="Tue, 14 Nov 2023 22:14:20 GMT")) as peer:
        outcome = send(peer.url, clock=lambda: 1_700_000_000.0)
    assert outcome == Retry("HTTP 503", after_seconds=60)


def test_the_time_for_a_request_is_a_setting(send):
    with Peer(None) as peer:
        assert send(peer.url, timeout_seconds=0.2) == Retry("no answer within 0.2 s")


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "ftp://example.com"},
        {"url": "https://example.com", "secret": ""},
        {"url": "https://example.com", "secret": []},
        {"url": "https://example.com", "timeout_seconds": 0},
        {"url": "https://example.com", "timeout_seconds": 61},
        {"url": "https://example.com", "headers": {"X": 1}},
        {"url": "https://example.com", "colour": "red"},
    ],
)
def test_the_schema_refuses(settings):
    assert not Draft202012Validator(Webhook.settings_schema).is_valid(settings)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"secret": f"{SECRET} "}, "secret: what follows whsec_ must be base64"),
        (
            {"secret": [SECRET, "whsec_c2hvcnQ="]},
            "secret: whsec_ must be followed by the base64 of at least 24 bytes",
        ),
        ({"url": "https:///hook"}, "url: it names no host"),
        (
            {"url": "https://example.com:port/"},
            "url: this is not a URL; such as https://example.com/hook is",
        ),
        (
            {"url": "https://me:hidden-password@example.com/"},
            "url: a password in a URL is shown in logs; put it into headers.Authorization",
        ),
        ({"headers": {"Bad Name": "x"}}, "headers: 'Bad Name' is no header name"),
        ({"headers": {"HOST": "x"}}, "headers: HOST is set by the webhook itself"),
        (
            {"headers": {"X-Key": "two\nlines"}},
            "headers.X-Key: only printable ASCII, no space around it",
        ),
    ],
)
def test_the_check_says_what_is_wrong_and_shows_no_secret(settings, problem):
    assert webhook(**settings).check() == [problem]


def test_the_check_reports_all_problems_at_once():
    problems = webhook(url="http://", secret="whsec_x", headers={"Host": "x"}).check()
    assert len(problems) == 3


def test_good_settings_have_no_problems():
    assert webhook(secret=[SECRET, "plain"], headers={"X-Key": "a b"}).check() == []


def test_the_logs_show_no_secret(send, caplog):
    caplog.set_level(logging.DEBUG)
    with Peer(OK) as peer:
        send(f"{peer.url}/path-secret", secret="plain-secret", headers={"X": "header-secret"})
    assert "secret" not in caplog.text
