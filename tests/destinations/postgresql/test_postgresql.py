from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.postgresql.destination import PostgreSQL
from segmentstream_api.errors import DestinationUnusable
from segmentstream_api.testing import Peer, closed_port, complete, delivery
from tests.destinations.events import hostile
from tests.optional import require

require("psycopg")

import psycopg  # noqa: E402 - only if it is installed

from segmentstream_api.destinations.postgresql.client import (  # noqa: E402 - as above
    PostgreSQLClient,
)
from segmentstream_api.destinations.postgresql.outcomes import outcome_of  # noqa: E402 - as above
from segmentstream_api.destinations.postgresql.row import definition, row_of  # noqa: E402 - as above
from tests.postgresql_server import PASSWORD  # noqa: E402 - as above

PAGE = Path(__file__).parents[3] / "docs/destinations/postgresql.md"


def settings(dsn, **more):
    return complete(PostgreSQL.settings_schema, {"dsn": dsn, **more})


@pytest.fixture
def table():
    return f"t{uuid4().hex}"


@pytest.fixture
def make(postgresql, table):
    made = []

    def make(dsn=None, **more):
        given = settings(dsn or postgresql.dsn(), **{"table": table, **more})
        made.append(PostgreSQL("warehouse", given))
        return made[-1]

    yield make
    for destination in made:
        destination.close()


@pytest.fixture
def warehouse(make):
    destination = make(timeout_seconds=10)
    destination.setup()
    return destination


@pytest.fixture
def rows(postgresql, table):
    def rows(columns="*", database="postgres"):
        return postgresql.query(f"SELECT {columns} FROM {table} ORDER BY key", database)

    return rows


def changed(number=1, **changes):
    return replace(delivery(number), body=json.dumps(delivery(number).document | changes).encode())


# The row


def test_an_event_is_a_row_with_what_is_often_asked_for_in_columns(warehouse, rows):
    assert warehouse.send([delivery(1)]) == [Delivered()]
    columns = "key, project, hit_id, name, user_id, anonymous_id, ip::text, envelope"
    assert rows(columns) == [
        (
            UUID(int=1),
            "shop",
            "hit-1",
            "Product Added",
            "user-1",
            "an-1",
            "192.0.2.1/32",
            delivery(1).document,
        )
    ]


def test_the_times_are_kept_with_their_zone(warehouse, rows):
    warehouse.send([delivery()])
    times = rows("sent_at AT TIME ZONE 'UTC', received_at AT TIME ZONE 'UTC'")
    assert [str(each) for each in times[0]] == ["2026-01-02 03:04:05", "2026-01-02 03:04:06"]


@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"])
def test_every_time_that_is_accepted_can_be_kept(warehouse, sent_at):
    assert warehouse.send([changed(sentAt=sent_at)]) == [Delivered()]


def test_what_an_event_does_not_say_is_null(warehouse, rows):
    event = {"user": {"anonymousId": "an-1"}}
    assert warehouse.send([changed(event=event, context={})]) == [Delivered()]
    assert rows("name, user_id, ip") == [(None, None, None)]


@pytest.mark.parametrize("ip", ["123.22.334.55", "fe80::1%eth0", "", 7, {"a": 1}])
def test_an_address_that_is_none_is_null_and_stays_in_the_envelope(warehouse, rows, ip):
    assert warehouse.send([changed(context={"ip": ip})]) == [Delivered()]
    assert rows("ip, envelope->'context'->'ip'") == [(None, ip)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("\0\0", "\ufffd\ufffd"),
        ("\\u0000", "\\u0000"),
        ("\\\0", "\\\ufffd"),
        ("\\\\u0000\0", "\\\\u0000\ufffd"),
        ("\ud83d\ude00 ü \x01", "\ud83d\ude00 ü \x01"),
    ],
)
def test_nul_which_postgresql_cannot_keep_becomes_the_replacement_character(
    warehouse, rows, text, kept
):
    text, kept = (each.encode("utf-16", "surrogatepass").decode("utf-16") for each in (text, kept))
    event = {"name": text, text: 1, "user": {"userId": text}}
    assert warehouse.send([changed(event=event)]) == [Delivered()]
    expected = {"name": kept, kept: 1, "user": {"userId": kept}}
    assert rows("name, user_id, envelope->'event'") == [(kept, kept, expected)]


def test_large_and_deep_events_are_kept(warehouse, rows):
    deep: dict = {"a": 1}
    for _ in range(60):
        deep = {"a": deep}
    event = {"name": "x" * 60_000, "deep": deep, "big": 10**300, "user": {"userId": "u" * 5_000}}
    assert warehouse.send([changed(event=event)]) == [Delivered()]
    assert rows("envelope->'event'") == [(event,)]


def test_the_most_awkward_event_is_kept(warehouse, rows):
    assert warehouse.send([hostile()]) == [Delivered()]
    document = json.loads(hostile().body.replace(rb"\u0000", rb"\ufffd"))
    del document["event"]["huge"]  # jsonb keeps every digit, Python's floats do not
    assert rows("envelope #- '{event,huge}'") == [(document,)]


# Once


def test_a_second_attempt_adds_no_row_and_counts_as_delivered(warehouse, rows):
    assert warehouse.send([delivery(1), delivery(2)]) == [Delivered()] * 2
    assert warehouse.send([delivery(2), delivery(3)]) == [Delivered()] * 2
    assert len(rows()) == 3


def test_an_event_twice_in_one_batch_is_one_row(warehouse, rows):
    assert warehouse.send([delivery(1), delivery(1)]) == [Delivered()] * 2
    assert len(rows()) == 1


# Batches


def test_a_full_batch_is_one_transaction(warehouse, rows):
    assert warehouse.send([delivery(n) for n in range(500)]) == [Delivered()] * 500
    assert len(rows("DISTINCT key")) == 500
    assert len(rows("DISTINCT xmin::text, '' AS key")) == 1


@pytest.mark.parametrize("poison", [{0}, {3}, {9}, {2, 7}, set(range(10))])
def test_a_row_that_is_refused_does_not_keep_its_neighbours_out(
    postgresql, warehouse, table, rows, poison
):
    numbers = ", ".join(f"'hit-{n}'" for n in poison)
    postgresql.query(f"ALTER TABLE {table} ADD CHECK (hit_id NOT IN ({numbers}))")
    outcomes = warehouse.send([delivery(n) for n in range(10)])
    refused = Rejected("CheckViolation (SQLSTATE 23514)")
    assert outcomes == [refused if n in poison else Delivered() for n in range(10)]
    assert len(rows()) == 10 - len(poison)


def test_a_refusal_shows_nothing_of_the_row(postgresql, warehouse, table, caplog):
    caplog.set_level(logging.DEBUG)
    postgresql.query(f"ALTER TABLE {table} ADD CHECK (hit_id <> 'hit-2')")
    outcomes = warehouse.send([delivery(n) for n in range(4)])
    assert "hit-2" not in f"{outcomes}"
    assert caplog.text == ""


def test_what_the_databases_encoding_cannot_hold_is_rejected_alone(postgresql, make, rows):
    name = f"latin{uuid4().hex}"
    postgresql.query(f"CREATE DATABASE {name} ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
    destination = make(postgresql.dsn(name))
    destination.setup()
    cyrillic = changed(2, event={"name": "Регистрация", "user": {"userId": "1"}})
    cyrillic = replace(cyrillic, body=json.dumps(cyrillic.document, ensure_ascii=False).encode())
    assert destination.send([delivery(1), cyrillic, delivery(3)]) == [
        Delivered(),
        Rejected("UntranslatableCharacter (SQLSTATE 22P05)"),
        Delivered(),
    ]
    assert len(rows("key", name)) == 2


def test_several_threads_send_side_by_side(warehouse, rows):
    def send(start):
        warehouse.send([delivery(start * 100 + n) for n in range(100)])

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(rows()) == 800


# Connections


def backends(postgresql):
    return postgresql.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'segmentstream-api'"
    )


def test_a_connection_is_kept_for_the_next_batch(postgresql, warehouse):
    warehouse.send([delivery(1)])
    first = backends(postgresql)
    warehouse.send([delivery(2)])
    assert backends(postgresql) == first
    assert len(first) == 1


def test_closing_leaves_no_connection_behind(postgresql, warehouse):
    warehouse.send([delivery(1)])
    warehouse.close()
    deadline = time.monotonic() + 5
    while backends(postgresql) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert backends(postgresql) == []


def test_a_connection_that_the_server_has_closed_is_replaced_at_once(postgresql, warehouse, rows):
    warehouse.send([delivery(1)])
    postgresql.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'segmentstream-api'"
    )
    assert warehouse.send([delivery(2)]) == [Delivered()]
    assert len(rows()) == 2


def test_a_server_that_restarts_is_found_again(postgresql, warehouse, rows):
    warehouse.send([delivery(1)])
    postgresql.stop()
    try:
        assert warehouse.send([delivery(2)]) == [Retry("could not connect")]
    finally:
        postgresql.start()
    assert warehouse.send([delivery(2)]) == [Delivered()]
    assert len(rows()) == 2


def send_and_report(destination, report):
    report.send(destination.send([delivery(2)]))
    report.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_each_process_has_connections_of_its_own(warehouse, rows):
    warehouse.send([delivery(1)])
    fork = multiprocessing.get_context("fork")
    reports, report = fork.Pipe(duplex=False)
    child = fork.Process(target=send_and_report, args=(warehouse, report))
    child.start()
    report.close()
    with reports:
        assert reports.poll(20)
        assert reports.recv() == [Delivered()]
    child.join(10)
    assert warehouse.send([delivery(3)]) == [Delivered()]
    assert len(rows()) == 3


def test_a_unix_socket_is_a_host_too(postgresql, make):
    destination = make(postgresql.dsn(host=postgresql.socket_folder))
    destination.setup()
    assert destination.send([delivery()]) == [Delivered()]


# Time


def test_a_table_that_somebody_has_locked_is_waited_for_no_longer_than_the_timeout(
    postgresql, make, table
):
    destination = make(timeout_seconds=2)
    destination.setup()
    with psycopg.connect(postgresql.dsn()) as other:
        other.execute(f"LOCK TABLE {table}")
        started = time.monotonic()
        assert destination.send([delivery(1)]) == [Retry("QueryCanceled (SQLSTATE 57014)")]
        assert 1 < time.monotonic() - started < 4
        assert other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,)
    assert destination.send([delivery(1)]) == [Delivered()]


def test_a_server_that_hangs_is_waited_for_no_longer_than_the_timeout(postgresql, make):
    destination = make(timeout_seconds=2)
    destination.setup()
    destination.send([delivery(1)])
    ((pid,),) = backends(postgresql)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        (outcome,) = destination.send([delivery(2)])
        assert 1.5 < time.monotonic() - started < 4
    finally:
        os.kill(pid, signal.SIGCONT)
    assert outcome == Retry("not done within 2 s")
    assert outcome.unanswered
    assert destination.send([delivery(2)]) == [Delivered()]


def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_timeout(make):
    with Peer(None) as peer:
        port = peer.url.rpartition(":")[2]
        started = time.monotonic()
        (outcome,) = make(f"host=127.0.0.1 port={port}", timeout_seconds=2).send([delivery()])
        assert time.monotonic() - started < 4
    assert outcome == Retry("not done within 2 s")


def test_the_time_limit_stays_in_the_transaction(postgresql, table):
    """A pooler gives the connection to somebody else next."""
    client = PostgreSQLClient(settings(postgresql.dsn(), table=table))
    client.setup()
    assert client.send([delivery()]) == [Delivered()]
    (connection,) = client._idle  # noqa: SLF001 - no other way to ask on this very connection
    assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
    client.close()


# What the operator has to mend


def test_a_missing_table_is_a_configuration_fault_that_names_the_remedy(make):
    assert make().send([delivery()]) == [
        Retry(
            "UndefinedTable (SQLSTATE 42P01); `segmentstream-api destinations setup` makes the"
            " table",
            misconfigured=True,
        )
    ]


def test_a_table_without_a_unique_key_is_a_configuration_fault(postgresql, make, table):
    make().setup()
    postgresql.query(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    (outcome,) = make().send([delivery()])
    assert outcome == Retry(
        "InvalidColumnReference (SQLSTATE 42P10); the table needs a primary key or a unique index"
        " on `key`",
        misconfigured=True,
    )


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ({"password": "wrong"}, "the server refused the credentials"),
        ({"password": "''"}, "the server wants a password"),
        ({"dbname": "nowhere"}, "the database or the role does not exist"),
        ({"host": "no-such-host.invalid"}, "the host name could not be resolved"),
        ({"sslmode": "require"}, "the server does not support TLS"),
    ],
)
def test_a_connection_that_cannot_be_made_is_a_configuration_fault(postgresql, make, dsn, reason):
    assert make(postgresql.dsn(**dsn)).send([delivery()]) == [Retry(reason, misconfigured=True)]


def test_a_server_that_is_down_is_tried_again(make):
    port = closed_port().rpartition(":")[2]
    assert make(f"host=127.0.0.1 port={port}").send([delivery()]) == [Retry("could not connect")]


def test_a_reader_may_not_write(postgresql, make, warehouse, table):
    user = f"reader_{table}"
    postgresql.query(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    assert make(postgresql.dsn(user=user)).send([delivery()]) == [
        Retry("InsufficientPrivilege (SQLSTATE 42501)", misconfigured=True)
    ]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("08006", Retry("ConnectionFailure (SQLSTATE 08006)")),
        ("40001", Retry("SerializationFailure (SQLSTATE 40001)")),
        ("40P01", Retry("DeadlockDetected (SQLSTATE 40P01)")),
        ("53100", Retry("DiskFull (SQLSTATE 53100)")),
        ("53300", Retry("TooManyConnections (SQLSTATE 53300)")),
        ("55P03", Retry("LockNotAvailable (SQLSTATE 55P03)")),
        ("57P01", Retry("AdminShutdown (SQLSTATE 57P01)")),
        ("25006", Retry("ReadOnlySqlTransaction (SQLSTATE 25006)", misconfigured=True)),
        ("3F000", Retry("InvalidSchemaName (SQLSTATE 3F000)", misconfigured=True)),
        ("23502", Rejected("NotNullViolation (SQLSTATE 23502)")),
        ("54000", Rejected("ProgramLimitExceeded (SQLSTATE 54000)")),
        ("P0001", Rejected("RaiseException (SQLSTATE P0001)")),
    ],
)
def test_an_error_is_an_outcome_by_its_code(code, outcome):
    assert outcome_of(psycopg.errors.lookup(code)("a secret")) == outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (psycopg.DataError("secret"), Rejected("psycopg could not convert a value (DataError)")),
        (psycopg.OperationalError("secret"), Retry("the connection was lost")),
        (psycopg.errors.ConnectionTimeout("secret"), Retry("could not connect in time")),
    ],
)
def test_an_error_without_a_code_is_an_outcome_by_its_class(error, outcome):
    assert outcome_of(error) == outcome


# Setting up


def test_setting_up_twice_is_no_fault(make, table):
    assert make().setup() == f"the table {table} is there"
    assert make().setup() == f"the table {table} is there"


def test_the_table_may_be_in_a_schema_and_have_capitals(postgresql, make):
    schema = f"S{uuid4().hex}"
    postgresql.query(f'CREATE SCHEMA "{schema}"')
    destination = make(table=f"{schema}.Events")
    destination.setup()
    assert destination.send([delivery()]) == [Delivered()]
    assert postgresql.query(f'SELECT count(*) FROM "{schema}"."Events"') == [(1,)]


def test_the_longest_name_has_its_index_too(postgresql, make):
    name = f"t{uuid4().hex}".ljust(47, "x")
    make(table=name).setup()
    indexes = postgresql.query(f"SELECT indexname FROM pg_indexes WHERE tablename = '{name}'")
    assert (f"{name}_received_at_idx",) in indexes


def test_setting_up_what_cannot_be_reached_says_why(postgresql, make):
    with pytest.raises(DestinationUnusable, match="the server refused the credentials"):
        make(postgresql.dsn(password="wrong")).setup()


def test_the_documentation_shows_this_very_table():
    shown = re.search(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    statements = [each.as_string(None).replace('"', "") for each in definition("events")]
    assert shown[1] == "".join(f"{each};\n" for each in statements)


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"dsn": ""},
        {"table": "a.b.c"},
        {"table": "events; DROP TABLE x"},
        {"table": 'a"b'},
        {"table": "t" * 48},
        {"table": ""},
        {"timeout_seconds": 1},
        {"schema": "x"},
    ],
)
def test_the_schema_refuses(wrong):
    good = {"dsn": "postgresql://localhost/shop", "table": "tracking.events"}
    assert Draft202012Validator(PostgreSQL.settings_schema).is_valid(good)
    assert not Draft202012Validator(PostgreSQL.settings_schema).is_valid(good | wrong)


@pytest.mark.parametrize("dsn", ["the-secret itself", "postgresql://a b:the-secret@/x", "x=y"])
def test_the_check_says_that_a_connection_string_is_none_and_does_not_show_it(dsn):
    assert PostgreSQL("warehouse", settings(dsn)).check() == [
        "dsn: is no connection string; such as postgresql://user@host/database is"
    ]


def test_a_row_holds_as_many_values_as_there_are_columns():
    assert len(row_of(delivery())) == 10
