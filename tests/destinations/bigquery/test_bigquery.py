from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.bigquery.destination import BigQuery
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.testing import Peer, answer, closed_port, complete, delivery
from tests.destinations.events import hostile
from tests.optional import require

require("google.cloud.bigquery")

from segmentstream_api.destinations.bigquery.row import COLUMNS  # noqa: E402 - only if installed

PAGE = Path(__file__).parents[3] / "docs/destinations/bigquery.md"
OK = answer("200 OK", b'{"kind": "bigquery#tableDataInsertAllResponse"}')
PATH = "/bigquery/v2/projects/shop-1/datasets/tracking/tables/events/insertAll"


def settings(url, **more):
    given = {"project": "shop-1", "dataset": "tracking", "base_url": url, "timeout_seconds": 2}
    return complete(BigQuery.settings_schema, {**given, **more})


@pytest.fixture
def make():
    made = []

    def make(url, **more):
        made.append(BigQuery("warehouse", settings(url, **more)))
        return made[-1]

    yield make
    for destination in made:
        destination.close()


@pytest.fixture
def send(make):
    def send(url, count=1, **more):
        return make(url, **more).send([delivery(n) for n in range(1, count + 1)])

    return send


def errors_at(rows):
    """An answer with 200 that names these rows, by their index, with reason and message."""
    found = [
        {"index": index, "errors": [{"reason": reason, "location": "x", "message": message}]}
        for index, (reason, message) in rows.items()
    ]
    return answer("200 OK", json.dumps({"insertErrors": found}).encode())


def refusal(status, reason=None, **headers):
    errors = [{"reason": reason, "message": "user-1 is not welcome"}] if reason else []
    document = {"error": {"code": int(status[:3]), "message": "user-1", "errors": errors}}
    return answer(status, json.dumps(document).encode(), **headers)


# The request


def test_the_rows_are_posted_to_the_table(send):
    with Peer(OK) as peer:
        assert send(peer.url) == [Delivered()]
    (request,) = peer.received
    assert request.line == f"POST {PATH}?prettyPrint=false HTTP/1.1"
    assert json.loads(request.body) == {
        "skipInvalidRows": True,
        "rows": [
            {
                "insertId": f"{1:032x}",
                "json": {
                    "key": f"{1:032x}",
                    "project": "shop",
                    "hit_id": "hit-1",
                    "name": "Product Added",
                    "user_id": "user-1",
                    "anonymous_id": "an-1",
                    "sent_at": "2026-01-02T03:04:05.000Z",
                    "received_at": "2026-01-02T03:04:06.000Z",
                    "ip": "192.0.2.1",
                    "envelope": delivery(1).body.decode(),
                },
            }
        ],
    }


def test_every_row_has_exactly_the_columns_of_the_table(send):
    with Peer(OK) as peer:
        send(peer.url)
    (row,) = json.loads(peer.received[0].body)["rows"]
    assert list(row["json"]) == [name for name, *_ in COLUMNS]


def test_what_an_event_does_not_say_is_null(make):
    document = delivery().document | {
        "event": {"user": {"anonymousId": "a"}},
        "context": {"ip": "123.22.334.55"},
    }
    with Peer(OK) as peer:
        make(peer.url).send([replace(delivery(), body=json.dumps(document).encode())])
    (row,) = json.loads(peer.received[0].body)["rows"]
    assert [row["json"][name] for name in ("name", "user_id", "ip")] == [None, None, None]


def test_a_request_stays_below_ten_megabytes_and_the_rest_is_sent_later(make):
    document = delivery().document | {"event": {"name": "é" * 32_000, "user": {"userId": "1"}}}
    large = replace(delivery(), body=json.dumps(document, ensure_ascii=False).encode())
    with Peer(OK) as peer:
        outcomes = make(peer.url, timeout_seconds=10).send([large] * 100)
    (request,) = peer.received
    sent = outcomes.count(Delivered())
    assert len(json.loads(request.body)["rows"]) == sent
    assert 9_000_000 < len(request.body) < 10_000_000
    assert all(isinstance(each, Retry) for each in outcomes[sent:])


def test_a_batch_of_usual_events_is_one_request(make):
    with Peer(OK) as peer:
        assert make(peer.url).send([delivery(n) for n in range(500)]) == [Delivered()] * 500
    (request,) = peer.received
    assert len({each["insertId"] for each in json.loads(request.body)["rows"]}) == 500


def test_an_emulator_is_sent_no_credentials(send):
    with Peer(OK) as peer:
        send(peer.url)
    assert "authorization" not in peer.received[0].headers


def test_connections_are_kept_for_the_next_request(make):
    with Peer(OK, keep_alive=True) as peer:
        destination = make(peer.url)
        for _ in range(3):
            destination.send([delivery()])
        destination.close()
        assert peer.connections == 1


def test_the_most_awkward_event_is_sent_as_it_is(make):
    with Peer(OK) as peer:
        assert make(peer.url).send([hostile()]) == [Delivered()]
    (row,) = json.loads(peer.received[0].body)["rows"]
    assert row["json"]["envelope"] == hostile().body.decode()
    assert row["json"]["ip"] is None


# Rows that were not inserted


def test_a_row_with_a_bad_value_is_rejected_and_its_neighbours_are_delivered(send):
    with Peer(errors_at({1: ("invalid", "Could not parse 'user-2' as a timestamp")})) as peer:
        assert send(peer.url, 3) == [
            Delivered(),
            Rejected("BigQuery refused a value (invalid)"),
            Delivered(),
        ]


def test_rows_that_were_stopped_because_of_another_are_tried_again(send):
    with Peer(errors_at({0: ("stopped", ""), 1: ("invalid", "")})) as peer:
        assert send(peer.url, 2) == [
            Retry("BigQuery did not insert the row (stopped)"),
            Rejected("BigQuery refused a value (invalid)"),
        ]


@pytest.mark.parametrize("reason", ["timeout", "backendError", "internalError", "quotaExceeded"])
def test_a_row_that_failed_for_another_reason_is_tried_again(send, reason):
    with Peer(errors_at({0: (reason, "")})) as peer:
        assert send(peer.url) == [Retry(f"BigQuery did not insert the row ({reason})")]


@pytest.mark.parametrize("message", ["no such field: envelope.", "Missing required field: shop."])
def test_a_table_with_other_columns_is_a_configuration_fault_and_costs_no_event(send, message):
    with Peer(errors_at({0: ("invalid", message), 1: ("invalid", message)})) as peer:
        reason = "the table lacks a column, or has one too many"
        assert send(peer.url, 2) == [Retry(reason, misconfigured=True)] * 2


# Requests that were refused


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        ("500 Oops", "internalError", Retry("HTTP 500 (internalError)")),
        ("503 Busy", "backendError", Retry("HTTP 503 (backendError)")),
        ("502 Bad Gateway", None, Retry("HTTP 502")),
        ("429 Too Many", "rateLimitExceeded", Retry("HTTP 429 (rateLimitExceeded)")),
        ("403 Forbidden", "quotaExceeded", Retry("HTTP 403 (quotaExceeded)")),
        ("403 Forbidden", "rateLimitExceeded", Retry("HTTP 403 (rateLimitExceeded)")),
        (
            "403 Forbidden",
            "accessDenied",
            Retry("HTTP 403 (accessDenied)", misconfigured=True),
        ),
        ("403 Forbidden", "the user user-1", Retry("HTTP 403", misconfigured=True)),
        ("404 Not Found", "notFound", Retry("HTTP 404 (notFound)", misconfigured=True)),
        ("400 Bad Request", "invalid", Retry("HTTP 400 (invalid)", misconfigured=True)),
        ("307 Elsewhere", None, Retry("HTTP 307", misconfigured=True)),
        ("413 Too Large", None, Rejected("HTTP 413")),
    ],
)
def test_a_refusal_is_an_outcome_by_its_status_and_reason(send, status, reason, outcome):
    with Peer(refusal(status, reason)) as peer:
        assert send(peer.url) == [outcome]
        assert len(peer.received) == 1, "the library must not retry by itself"


def test_a_quota_may_say_when_to_come_back(send):
    with Peer(refusal("403 Forbidden", "quotaExceeded", Retry_After="30")) as peer:
        assert send(peer.url) == [Retry("HTTP 403 (quotaExceeded)", after_seconds=30)]


def test_the_refusal_of_several_rows_condemns_none_of_them(send):
    with Peer(refusal("413 Too Large")) as peer:
        outcomes = send(peer.url, 2)
    assert outcomes[0].reason == "HTTP 413 to 2 events at once: each goes alone next time"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"garbage",
        b"",
        b'{"insertErrors": [{"index": "x"}]}',
        b'{"insertErrors": 7}',
        b'{"insertErrors": [{"index": 0, "errors": [7]}]}',
    ],
)
def test_an_answer_of_another_form_is_tried_again(send, body):
    with Peer(answer("200 OK", body)) as peer:
        (outcome,) = send(peer.url)
    assert outcome == Retry("the answer was not BigQuery's")
    assert outcome.unanswered


def test_an_empty_document_means_that_all_is_well(send):
    with Peer(answer("200 OK", b"{}")) as peer:
        assert send(peer.url) == [Delivered()]


def test_a_server_that_is_down_is_tried_again(send):
    assert send(closed_port()) == [Retry("could not connect")]


def test_the_deadline_is_for_the_whole_exchange(send):
    def slowly(_):
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"
        for _ in range(60):
            yield b" "

    with Peer(slowly, pause_seconds=0.1) as peer:
        started = time.monotonic()
        assert send(peer.url, timeout_seconds=0.3) == [Retry("no answer within 0.3 s")]
        assert time.monotonic() - started < 2


# Credentials


@pytest.fixture
def key_file(tmp_path):
    """The key file of a service account, whose tokens come from `token_uri`."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only needed here
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - as above

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    def key_file(token_uri):
        path = tmp_path / "key.json"
        account = {
            "type": "service_account",
            "client_email": "writer@shop-1.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "token_uri": token_uri,
        }
        path.write_text(json.dumps(account))
        return str(path)

    return key_file


def test_a_service_account_gets_a_token_and_keeps_it(key_file):
    from segmentstream_api.destinations.bigquery.client import (  # noqa: PLC0415 - needs the extra
        credentials_of,
    )
    from segmentstream_api.destinations.bigquery.session import (  # noqa: PLC0415 - as above
        Session,
    )

    token = answer("200 OK", b'{"access_token": "a-token", "expires_in": 3600}')
    with Peer(token) as tokens, Peer(OK, keep_alive=True) as peer:
        https = settings("https://bigquery.googleapis.com", credentials_file=key_file(tokens.url))
        session = Session(credentials_of(https), 2)
        for _ in range(2):
            session.request("POST", peer.url, data="{}")
        session.close()
    assert [each.headers["authorization"] for each in peer.received] == ["Bearer a-token"] * 2
    assert len(tokens.received) == 1


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            answer("400 Bad Request", b'{"error": "invalid_grant"}'),
            Retry("Google gave no access token", misconfigured=True),
        ),
        (
            answer("500 Oops", b'{"error": "internal_failure"}'),
            Retry("Google gave no access token"),
        ),
        (None, Retry("no answer within 0.3 s")),
    ],
)
def test_no_token_is_an_outcome_too(send, key_file, reply, outcome):
    with Peer(reply) as tokens:
        https = "https://127.0.0.1:1"
        file = key_file(tokens.url)
        started = time.monotonic()
        assert send(https, credentials_file=file, timeout_seconds=0.3) == [outcome]
        assert time.monotonic() - started < 5


def test_a_file_that_is_no_key_is_a_configuration_fault(send, tmp_path):
    path = tmp_path / "key.json"
    https = "https://bigquery.googleapis.com"
    for text in ("{}", "not json", '{"type": "authorized_user"}'):
        path.write_text(text)
        assert send(https, credentials_file=str(path)) == [
            Retry(
                f"Google's credentials: {path} is no key file of a service account",
                misconfigured=True,
            )
        ]
    path.unlink()
    reason = f"{path} cannot be read: No such file or directory"
    assert send(https, credentials_file=str(path)) == [Retry(reason, misconfigured=True)]


# Setting up


TABLE_PATH = "/bigquery/v2/projects/shop-1/datasets/tracking/tables"
DATASET_PATH = "/bigquery/v2/projects/shop-1/datasets"


def test_setting_up_makes_the_table_in_partitions_of_a_day(make):
    made = answer("200 OK", json.dumps({"tableReference": reference()}).encode())
    with Peer(made) as peer:
        assert make(peer.url).setup() == "the table shop-1.tracking.events is there"
    (request,) = peer.received
    assert request.line.startswith(f"POST {TABLE_PATH}?")
    table = json.loads(request.body)
    assert table["timePartitioning"] == {"type": "DAY", "field": "received_at"}
    assert table["clustering"] == {"fields": ["project", "name"]}
    columns = [(each["name"], each["type"], each["mode"]) for each in table["schema"]["fields"]]
    assert columns == [(name, kind, mode) for name, kind, mode, _ in COLUMNS]


def reference():
    return {"projectId": "shop-1", "datasetId": "tracking", "tableId": "events"}


def test_setting_up_what_is_there_is_no_fault(make):
    def there(request):
        if request.line.startswith("POST"):
            return [refusal("409 Conflict", "duplicate")]
        return [answer("200 OK", json.dumps({"tableReference": reference()}).encode())]

    with Peer(there, keep_alive=True) as peer:
        assert make(peer.url).setup() == "the table shop-1.tracking.events is there"


def test_setting_up_makes_the_dataset_where_the_settings_say(make):
    datasets = []

    def without_dataset(request):
        if request.line.startswith(f"POST {DATASET_PATH}?"):
            datasets.append(json.loads(request.body))
            return [answer("200 OK", json.dumps(datasets[-1]).encode())]
        if not datasets:
            return [refusal("404 Not Found", "notFound")]
        return [answer("200 OK", json.dumps({"tableReference": reference()}).encode())]

    with Peer(without_dataset, keep_alive=True) as peer:
        make(peer.url, location="EU").setup()
    (dataset,) = datasets
    assert dataset["datasetReference"] == {"projectId": "shop-1", "datasetId": "tracking"}
    assert dataset["location"] == "EU"


def test_without_a_location_no_dataset_is_made_anywhere(make):
    with Peer(refusal("404 Not Found", "notFound")) as peer:
        with pytest.raises(DestinationUnusable, match=r"there is no dataset shop-1\.tracking"):
            make(peer.url).setup()
        assert len(peer.received) == 1


def test_setting_up_without_the_right_says_so(make):
    with (
        Peer(refusal("403 Forbidden", "accessDenied")) as peer,
        pytest.raises(DestinationUnusable, match=r"HTTP 403 \(accessDenied\)"),
    ):
        make(peer.url).setup()


def test_the_documentation_lists_these_very_columns():
    shown = PAGE.read_text("utf-8")
    for name, kind, mode, description in COLUMNS:
        required = "yes" if mode == "REQUIRED" else ""
        assert f"| `{name}` | {kind} | {required} | {description} |" in shown


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": "shop/1"},
        {"dataset": "two words"},
        {"table": "a.b"},
        {"base_url": "ftp://x"},
        {"timeout_seconds": 0},
        {"colour": "red"},
    ],
)
def test_the_schema_refuses(wrong):
    good = {"project": "example.com:shop-1", "dataset": "tracking", "table": "events-2"}
    assert Draft202012Validator(BigQuery.settings_schema).is_valid(good)
    assert not Draft202012Validator(BigQuery.settings_schema).is_valid(good | wrong)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"base_url": "http://127.0.0.1:9050", "credentials_file": "/nope.json"},
            "credentials_file: has no use, base_url is plain http://",
        ),
        (
            {"base_url": "https://bigquery.example", "credentials_file": "/nope.json"},
            "credentials_file: there is no file /nope.json",
        ),
        (
            {"base_url": "https://x:port"},
            "base_url: this is not a URL; such as https://proxy.example.com is",
        ),
    ],
)
def test_the_check_says_what_is_wrong(given, problem):
    assert BigQuery("warehouse", settings(given.pop("base_url"), **given)).check() == [problem]


def test_the_logs_show_neither_token_nor_event(send, key_file, caplog):
    caplog.set_level(logging.DEBUG)
    token = answer("200 OK", b'{"access_token": "a-secret-token", "expires_in": 3600}')
    with Peer(token) as tokens:
        send("https://127.0.0.1:1", credentials_file=key_file(tokens.url))
    with Peer(refusal("400 Bad Request", "invalid")) as peer:
        send(peer.url)
    assert "a-secret-token" not in caplog.text
    assert "user-1" not in caplog.text
