from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.clickhouse.destination import MAX_REQUEST_BYTES, ClickHouse
from segmentstream_api.destinations.clickhouse.errors import OF_THE_CONFIGURATION, OF_THE_ROWS
from segmentstream_api.destinations.clickhouse.table import COLUMNS, create_statement
from segmentstream_api.destinations.transport.batch import NO_ROOM
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.testing import Peer, answer
from tests.destinations import events
from tests.destinations.exchange import build, exchange

OK = answer("200 OK")
PASSWORD = "clickhouse-password"
INSERT = (
    "INSERT INTO events (hit_id, project, name, user_id, anonymous_id, sent_at, received_at, "
    "envelope) FORMAT JSONEachRow"
)


def send(*deliveries, replies=OK, **settings):
    return exchange(ClickHouse, deliveries, replies, **settings)


def query(request):
    """The query string's parameters."""
    _, target, _ = request.line.split(" ")
    return {name: value for name, (value,) in parse_qs(urlsplit(target).query).items()}


def row(delivery):
    _, (request,) = send(delivery)
    return json.loads(request.body)


def exception(code, status="500 Internal Server Error", name="SOME_ERROR"):
    text = f"Code: {code}. DB::Exception: told of a secret row. ({name}) (version 26.9)\n"
    return answer(status, text.encode(), X_ClickHouse_Exception_Code=str(code))


# The request


def test_the_documented_example():
    _, (request,) = send(
        events.documented(), user="writer", password=PASSWORD, database="shop", table="hits"
    )
    parameters = query(request)
    assert request.line.startswith("POST /?database=shop&")
    assert len(parameters.pop("insert_deduplication_token")) == 64
    assert parameters == {
        "database": "shop",
        "query": INSERT.replace("events", "hits"),
        "async_insert": "1",
        "wait_for_async_insert": "1",
        "async_insert_deduplicate": "1",
        "date_time_input_format": "best_effort",
        "wait_end_of_query": "1",
    }
    assert request.headers["x-clickhouse-user"] == "writer"
    assert request.headers["x-clickhouse-key"] == PASSWORD
    assert json.loads(request.body) == {
        "hit_id": "4c59d330-35c7-11e9-8f27-8d1d7d4690e7",
        "project": "shop",
        "name": "Registered",
        "user_id": "u2783187492",
        "anonymous_id": "80ddb140-35c6-11e9-bd56-eb1c05e6de18",
        "sent_at": "2019-02-21T10:56:10.723Z",
        "received_at": events.RECEIVED_AT_TEXT,
        "envelope": events.documented().body.decode(),
    }


def test_without_a_password_none_is_sent():
    _, (request,) = send(events.documented())
    assert request.headers["x-clickhouse-user"] == "default"
    assert "x-clickhouse-key" not in request.headers


def test_an_anonymous_user_has_an_empty_user_id():
    sent = row(events.anonymous())
    assert sent["user_id"] == ""
    assert sent["anonymous_id"] == "80ddb140-35c6-11e9-bd56-eb1c05e6de18"
    assert sent["hit_id"] == events.HIT_ID


def test_a_purchase_is_whole_in_the_envelope():
    sent = row(events.purchase())
    assert sent["name"] == "Completed Transaction"
    assert sent["sent_at"] == "2019-04-02T14:20:00.000Z"
    assert json.loads(sent["envelope"]) == events.purchase().document


def test_a_hostile_event_stays_on_its_line_byte_for_byte():
    _, (request,) = send(events.hostile(), events.documented())
    first, second = request.body.split(b"\n")
    document = events.hostile().document
    sent = json.loads(first)
    assert sent["envelope"].encode() == events.hostile().body
    assert sent["hit_id"] == document["hitId"]
    assert sent["user_id"] == document["event"]["user"]["userId"]
    assert sent["anonymous_id"] == ""
    assert json.loads(second)["name"] == "Registered"


def test_an_event_without_a_name_is_an_event_all_the_same():
    assert row(events.named(None))["name"] == ""


def test_several_events_are_several_rows_of_one_insert():
    outcomes, (request,) = send(*events.numbered(3))
    assert outcomes == [Delivered()] * 3
    rows = [json.loads(line) for line in request.body.split(b"\n")]
    assert [each["user_id"] for each in rows] == ["user-0", "user-1", "user-2"]
    assert all(each.keys() == COLUMNS.keys() for each in rows)


def test_async_inserts_can_be_switched_off():
    _, (request,) = send(events.documented(), async_insert=False)
    assert query(request)["async_insert"] == "0"


def test_the_token_is_the_same_for_the_same_rows_and_for_no_others():
    def token(*deliveries):
        _, (request,) = send(*deliveries)
        return query(request)["insert_deduplication_token"]

    first, second = events.numbered(2)
    assert token(first, second) == token(first, second)
    assert len({token(first, second), token(second, first), token(first), token(second)}) == 4


# Limits


@pytest.mark.parametrize("year", ["1900", "2299"])
def test_clickhouse_takes_the_years(year):
    assert (
        row(events.documented(sentAt=f"{year}-01-01"))["sent_at"] == f"{year}-01-01T00:00:00.000Z"
    )


@pytest.mark.parametrize("year", ["0001", "1899", "2300", "9999"])
def test_an_event_of_another_year_is_rejected_and_does_not_keep_back_the_others(year):
    outcomes, (request,) = send(events.documented(sentAt=f"{year}-06-01"), *events.numbered(1))
    assert outcomes == [
        Rejected("sentAt: ClickHouse takes the years 1900 to 2299"),
        Delivered(),
    ]
    assert request.body.count(b"\n") == 0


def test_a_request_has_at_most_10_mb_and_the_rest_waits():
    largest = events.named("Big", userId="u", padding='"' * 30_000)
    outcomes, (request,) = send(*[largest] * 90)
    assert len(request.body) <= MAX_REQUEST_BYTES
    fitting = request.body.count(b"\n") + 1
    assert 50 < fitting < 90
    assert outcomes == [Delivered()] * fitting + [NO_ROOM] * (90 - fitting)


# The answer

NOT_CLICKHOUSE = Retry("HTTP 200 that is not ClickHouse's", misconfigured=True)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer("200 OK"), Delivered()),
        (answer("200 OK", b"Ok.\n"), NOT_CLICKHOUSE),
        (answer("200 OK", b"<!doctype html><title>Sign in</title>"), NOT_CLICKHOUSE),
        (answer("204 No Content"), Retry("HTTP 204 that is not ClickHouse's", misconfigured=True)),
        (
            answer("200 OK", b"\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 241. DB::Exception"),
            Retry("ClickHouse: code 241"),
        ),
        (
            answer("200 OK", b"Code: 60. DB::Exception: Table default.events does not exist."),
            Retry("ClickHouse: code 60 UNKNOWN_TABLE", misconfigured=True),
        ),
        (
            answer("200 OK", b"Code: 241, e.displayText() = DB::Exception: Memory limit"),
            Retry("ClickHouse: code 241"),
        ),
        (
            answer("200 OK", b"__exception__\r\nabcdefghijklmnop\r\nCode: 27. DB::Exception: x"),
            Rejected("ClickHouse: code 27 CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
        ),
        (
            answer("200 OK", X_ClickHouse_Exception_Code="516"),
            Retry("ClickHouse: code 516 AUTHENTICATION_FAILED", misconfigured=True),
        ),
        (answer("200 OK", X_ClickHouse_Exception_Code="0"), Delivered()),
        (answer("200 OK", X_ClickHouse_Exception_Code="none"), Delivered()),
        (
            exception(60, "404 Not Found"),
            Retry("ClickHouse: code 60 UNKNOWN_TABLE", misconfigured=True),
        ),
        (
            exception(516, "403 Forbidden"),
            Retry("ClickHouse: code 516 AUTHENTICATION_FAILED", misconfigured=True),
        ),
        (
            exception(81, "404 Not Found"),
            Retry("ClickHouse: code 81 UNKNOWN_DATABASE", misconfigured=True),
        ),
        (exception(117, "400 Bad Request"), Rejected("ClickHouse: code 117 INCORRECT_DATA")),
        (exception(159, "408 Request Timeout"), Retry("ClickHouse: code 159")),
        (exception(252), Retry("ClickHouse: code 252")),
        (exception(999), Retry("ClickHouse: code 999")),
        (exception(12345), Retry("ClickHouse: code 12345")),
        # Not ClickHouse, but what stands before it.
        (answer("401 Unauthorized"), Retry("HTTP 401", misconfigured=True)),
        (answer("400 Bad Request", b"row: Code: 27. said the event"), Rejected("HTTP 400")),
        (answer("429 Too Many Requests", Retry_After="4"), Retry("HTTP 429", after_seconds=4)),
        (answer("502 Bad Gateway"), Retry("HTTP 502")),
    ],
)
def test_an_answer_to_one_row(reply, outcome):
    assert send(events.documented(), replies=reply)[0] == [outcome]


@pytest.mark.parametrize("code", OF_THE_ROWS)
def test_a_fault_of_a_row_rejects_it_alone_and_has_several_tried_one_by_one(code):
    reason = f"ClickHouse: code {code} {OF_THE_ROWS[code]}"
    reply = exception(code)
    assert send(events.documented(), replies=reply)[0] == [Rejected(reason)]
    outcomes, _ = send(*events.numbered(2), replies=reply)
    assert outcomes == [Retry(f"{reason} to 2 events at once: each goes alone next time")] * 2


@pytest.mark.parametrize("code", OF_THE_CONFIGURATION)
def test_a_fault_of_the_configuration_keeps_the_events(code):
    outcomes, _ = send(*events.numbered(2), replies=exception(code))
    retry = Retry(f"ClickHouse: code {code} {OF_THE_CONFIGURATION[code]}", misconfigured=True)
    assert outcomes == [retry] * 2


@pytest.mark.parametrize("code", [159, 202, 209, 210, 241, 242, 252, 319, 999])
def test_everything_else_is_tried_again(code):
    outcomes, _ = send(*events.numbered(2), replies=exception(code))
    assert outcomes == [Retry(f"ClickHouse: code {code}")] * 2


# The table


def test_setup_makes_the_table():
    with Peer(answer("200 OK")) as peer:
        destination = build(
            ClickHouse, base_url=peer.url, database="shop", table="hits", password=PASSWORD
        )
        assert destination.setup() == "the table shop.hits is there"
        destination.close()
    (request,) = peer.received
    assert request.line == "POST /?database=shop HTTP/1.1"
    assert request.headers["x-clickhouse-key"] == PASSWORD
    assert request.body.decode() == create_statement("hits")


def test_setup_says_why_it_cannot():
    with Peer(exception(497, "403 Forbidden")) as peer:
        destination = build(ClickHouse, base_url=peer.url)
        with pytest.raises(DestinationUnusable, match="code 497 ACCESS_DENIED"):
            destination.setup()
        destination.close()


def test_the_documentation_has_the_same_table_and_the_same_codes():
    page = (Path(__file__).parents[3] / "docs/destinations/clickhouse.md").read_text("utf-8")
    assert create_statement("events") in page
    assert f"| {', '.join(map(str, OF_THE_ROWS))}: " in page
    assert f"| {', '.join(map(str, OF_THE_CONFIGURATION))}: " in page


def test_the_rows_of_one_event_are_equal_in_what_the_table_is_sorted_by():
    assert "ENGINE = ReplacingMergeTree\n" in create_statement("events")
    assert "ORDER BY (project, sent_at, hit_id)\n" in create_statement("events")
    first, second = row(events.purchase()), row(events.purchase())
    assert first == second


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"base_url": "clickhouse:8123"},
        {"base_url": "http://c", "table": "events; DROP TABLE events"},
        {"base_url": "http://c", "table": "a.b"},
        {"base_url": "http://c", "table": ""},
        {"base_url": "http://c", "database": "1st"},
        {"base_url": "http://c", "user": "two\nlines"},
        {"base_url": "http://c", "async_insert": 1},
    ],
)
def test_the_schema_refuses(settings):
    assert not Draft202012Validator(ClickHouse.settings_schema).is_valid(settings)


def test_the_check_finds_a_bad_base_url():
    url = "http://me:hidden-password@localhost:8123"
    assert build(ClickHouse, base_url=url).check() == ["base_url: a password has no place in it"]


def test_the_logs_and_reasons_show_neither_the_password_nor_the_row(caplog):
    caplog.set_level(logging.DEBUG)
    outcomes, _ = send(events.documented(), replies=exception(117), password=PASSWORD)
    assert PASSWORD not in f"{caplog.text} {outcomes}"
    assert "secret row" not in f"{caplog.text} {outcomes}"
