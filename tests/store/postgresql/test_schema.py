"""What only PostgreSQL can get wrong: locks between machines, connections, the wrong database."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from segmentstream_api.errors import SegmentStreamError, StoreUnavailable, StoreUnusable
from segmentstream_api.store.records import Acceptance, Settled
from tests.fakes import an_event, until
from tests.optional import require
from tests.postgresql_server import PASSWORD

require("psycopg")

import psycopg  # noqa: E402 - only if it is there

from segmentstream_api.store.postgresql.clock import ServerClock  # noqa: E402 - as above
from segmentstream_api.store.postgresql.connections import (  # noqa: E402 - as above
    PostgresqlConnections,
)
from segmentstream_api.store.postgresql.store import PostgresqlStore  # noqa: E402 - as above

WINDOW = 86_400.0


@pytest.fixture
def make(empty_database):
    """Makes stores on one database, each as a machine of its own has it."""
    made = []

    def make(dsn=empty_database):
        store = PostgresqlStore(
            dsn,
            dedup_window_seconds=WINDOW,
            retry_for_seconds=WINDOW,
            dead_letters_for_seconds=WINDOW,
        )
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def sql(empty_database):
    """A connection past the store, outside of any transaction."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("SET search_path = segmentstream")
        yield connection


def claim(store, limit=100):
    return list(store.claim("crm", limit=limit, lease_seconds=25))


class TestMachines:
    def test_two_that_start_at_once_make_one_store(self, make):
        stores = [make() for _ in range(6)]
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(PostgresqlStore.open, stores))
        stores[0].accept(an_event("h-1"), {})
        assert stores[5].recall(an_event("h-1")) is not None

    def test_batches_with_the_same_hit_ids_in_any_order_wait_for_one_another_and_one_wins(
        self, make
    ):
        stores = [make(), make()]
        barrier = threading.Barrier(2)

        def accept(number, rounds=40):
            news = []
            for each in range(rounds):
                names = [f"h-{each}-{name}" for name in range(20)]
                if number:
                    names.reverse()
                events = [(an_event(name), {"crm": 0.0}) for name in names]
                barrier.wait(60)
                receipts = stores[number].accept_all(events)
                news += [receipt.acceptance is Acceptance.NEW for receipt in receipts]
            return news

        with ThreadPoolExecutor(2) as threads:
            one, two = threads.map(accept, range(2))
        assert sum(one) + sum(two) == 40 * 20
        assert len({row.key for row in claim(stores[0], 1000)}) == 40 * 20

    def test_of_two_that_take_away_an_events_last_rows_one_takes_the_event(self, make, sql):
        stores = [make(), make()]
        destinations = ("crm", "archive")
        receipts = [
            stores[0].accept(an_event(), dict.fromkeys(destinations, 25.0)) for _ in range(60)
        ]
        barrier = threading.Barrier(2)

        def settle(number):
            for receipt in receipts:
                barrier.wait(60)
                stores[number].settle([Settled(receipt.event_id, destinations[number])])
                stores[number].flush()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(settle, range(2)))
        assert sql.execute("SELECT count(*) FROM event").fetchone() == (0,)

    def test_a_claim_takes_what_nobody_else_is_taking_and_waits_for_nobody(self, make, sql):
        store = make()
        first, second = (store.accept(an_event(), {"crm": 0}).event_id for _ in range(2))
        with sql.transaction():
            sql.execute("SELECT FROM outbox WHERE event_id = %s FOR UPDATE", (first,))
            began = time.monotonic()
            assert [row.event_id for row in claim(store)] == [second]
            assert time.monotonic() - began < 4
        assert [row.event_id for row in claim(store)] == [first]

    def test_a_duplicate_of_what_another_machine_has_not_committed_is_waited_for(self, make, sql):
        one, two = make(), make()
        one.open()
        event = an_event("h-1")
        with ThreadPoolExecutor(1) as threads:
            with sql.transaction():
                sql.execute(
                    "INSERT INTO seen VALUES (%s, %s, NULL, %s)",
                    (event.key, event.fingerprint, int(time.time() + 60)),
                )
                waiting = threads.submit(two.accept, event, {"crm": 0})
                until(lambda: waits_for_a_lock(sql))
                assert not waiting.done()
            assert waiting.result().acceptance is Acceptance.DUPLICATE

    def test_a_hit_id_whose_event_could_not_be_written_is_not_remembered(self, make, sql):
        store = make()
        store.open()
        waiting = store.accept(an_event(), {"crm": 0})
        store.settle([Settled(waiting.event_id, "crm")])
        for table in ("event", "outbox"):
            sql.execute(f"ALTER TABLE {table} ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
            with pytest.raises(StoreUnavailable):
                store.accept(an_event("h-1"), {"crm": 0})
            assert store.recall(an_event("h-1")) is None
            sql.execute(f"ALTER TABLE {table} DROP CONSTRAINT full_disk")
        assert store.stats()["crm"].waiting == 1  # what was settled meanwhile is not written yet
        assert store.accept(an_event("h-1"), {"web": 0}).acceptance is Acceptance.NEW
        assert list(store.stats()) == ["web"]

    def test_a_machine_that_stands_still_is_waited_for_five_seconds(self, make, sql):
        store = make()
        store.open()
        event = an_event("h-1")
        with sql.transaction(force_rollback=True):
            sql.execute("INSERT INTO seen VALUES (%s, '', NULL, 0)", (event.key,))
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="QueryCanceled"):
                store.accept(event, {"crm": 0})
            assert time.monotonic() - began > 3
        assert store.accept(event, {"crm": 0}).acceptance is Acceptance.NEW


def name_of(sql):
    """The database's."""
    return sql.info.dbname


def waits_for_a_lock(sql):
    return sql.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone()


class TestConnections:
    def test_there_are_two_for_each_process_however_many_threads(self, make, sql):
        store = make()
        with ThreadPoolExecutor(20) as threads:
            list(
                threads.map(
                    lambda _: (store.accept(an_event(), {"crm": 0}), claim(store)), range(60)
                )
            )
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'segment%'"
        assert sql.execute(count).fetchone() == (2,)
        store.close()
        until(lambda: sql.execute(count).fetchone() == (0,))

    def test_one_that_broke_while_idle_is_made_anew_unnoticed(self, make, sql):
        store = make()
        store.accept(an_event(), {"crm": 0})
        for _ in range(3):
            sql.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name LIKE 'segment%'"
            )
            assert store.accept(an_event(), {"crm": 0}).acceptance is Acceptance.NEW
            assert len(claim(store)) > 0

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # 3.12: it has threads
    def test_a_child_makes_its_own_and_leaves_the_parents_alone(self, make, sql):
        store = make()
        store.accept(an_event("parent"), {})
        done, go_on = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(go_on[1])  # so that the end of the parent is the end of the child
                store.accept(an_event("child"), {})
                os.write(done[1], b"!")
                os.read(go_on[0], 1)
                store.close()
            finally:
                os._exit(0)
        assert os.read(done[0], 1) == b"!"
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'segment%'"
        assert sql.execute(count).fetchone() == (2,)
        assert store.accept(an_event("child"), {}).acceptance is Acceptance.DUPLICATE
        os.write(go_on[1], b"!")
        os.waitpid(child, 0)
        assert store.accept(an_event("child"), {}).acceptance is Acceptance.DUPLICATE
        for end in (*done, *go_on):
            os.close(end)

    def test_a_commit_is_durable_whatever_the_database_has_as_its_default(
        self, empty_database, sql
    ):
        sql.execute(f"ALTER DATABASE {name_of(sql)} SET synchronous_commit = off")
        connections = PostgresqlConnections(empty_database, "here", lambda _: None)
        with closing(connections), connections.transaction(for_requests=True) as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)

    def test_who_asks_for_more_than_the_servers_disk_gets_it(self, empty_database, sql):
        sql.execute(f"ALTER DATABASE {name_of(sql)} SET synchronous_commit = remote_apply")
        connections = PostgresqlConnections(empty_database, "here", lambda _: None)
        with closing(connections), connections.transaction(for_requests=True) as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("remote_apply",)

    def test_nothing_of_a_transaction_outlives_it_for_a_poolers_sake(self, empty_database, sql):
        connections = PostgresqlConnections(empty_database, "here", lambda _: None)
        with closing(connections):
            with connections.transaction() as connection:
                pass
            for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
                assert connection.execute(f"SHOW {name}").fetchone() == ("0",)
            assert connection.execute("SHOW search_path").fetchone() != ("segmentstream",)
            assert connection.execute("SELECT * FROM pg_prepared_statements").fetchall() == []


class TestAnotherDatabase:
    def refused(self, store, reason, start=PostgresqlStore.open, kind=StoreUnusable):
        with pytest.raises(kind, match=reason) as refused:
            start(store)
        assert PASSWORD not in f"{refused.value!r} {refused.value} {vars(refused.value)}"

    def test_of_a_newer_version_is_refused(self, make, sql):
        make().open()
        sql.execute("UPDATE store SET version = 2")
        self.refused(make(), "has schema version 2; this program needs 1")

    def test_that_lost_a_table_is_refused_and_not_mended(self, make, sql):
        make().open()
        sql.execute("DROP TABLE outbox")
        for start in (PostgresqlStore.open, PostgresqlStore.check, PostgresqlStore.exists):
            self.refused(make(), "lacks segmentstream.outbox; restore it from a backup", start)

    def test_of_another_program_is_refused(self, make, sql):
        sql.execute("CREATE SCHEMA segmentstream CREATE TABLE theirs (id int)")
        self.refused(make(), "has a schema segmentstream of another program")

    def test_with_another_encoding_is_refused(self, make, postgresql):
        postgresql.query("DROP DATABASE IF EXISTS latin")
        postgresql.query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.refused(make(postgresql.url_of("latin")), "has the encoding LATIN1")

    def test_put_in_the_place_of_an_open_one_takes_nothing(self, make, sql):
        store = make()
        store.accept(an_event(), {"crm": 0})
        sql.execute("UPDATE store SET identity = 'another'")
        sql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'segment%'"
        )
        self.refused(
            store,
            "replaced by another; restart to use the new one",
            lambda store: store.accept(an_event(), {"crm": 0}),
            StoreUnavailable,
        )

    def test_that_cannot_be_entered_is_refused_and_one_that_is_away_may_come_back(
        self, make, empty_database, postgresql
    ):
        wrong = empty_database.replace(PASSWORD, "wrong-word")
        self.refused(make(wrong), "the server refused the credentials")
        self.refused(make(postgresql.url_of("nowhere")), "the database or the role does not exist")
        away = empty_database.replace(str(postgresql.port), "1")
        self.refused(make(away), "could not connect", kind=StoreUnavailable)
        unknown = empty_database.replace("127.0.0.1", "no-such-host.invalid")
        self.refused(make(unknown), "could not be resolved", kind=StoreUnavailable)

    def test_which_this_role_may_not_fill_is_refused(self, make, postgresql, empty_database, sql):
        sql.execute("DROP ROLE IF EXISTS guest")
        sql.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        store = make(empty_database.replace(f"postgres:{PASSWORD}", "guest:guest"))
        assert not store.exists()
        self.refused(store, "does not let this role create", PostgresqlStore.require_makeable)
        self.refused(store, "InsufficientPrivilege")
        sql.execute("DROP ROLE guest")

    def test_that_was_made_before_may_be_used_by_a_role_that_can_make_nothing(
        self, make, empty_database, sql
    ):
        make().open()
        sql.execute("DROP ROLE IF EXISTS guest")
        sql.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        sql.execute("GRANT USAGE ON SCHEMA segmentstream TO guest")
        for rights in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES"):
            sql.execute(f"GRANT {rights} IN SCHEMA segmentstream TO guest")
        store = make(empty_database.replace(f"postgres:{PASSWORD}", "guest:guest"))
        store.check()
        store.accept(an_event(at=time.time()), {"crm": 0})
        store.settle([Settled(row.event_id, "crm") for row in claim(store)])
        store.flush()
        store.mend_clock()
        store.prune(["crm"], limit=10)
        assert store.stats() == {}
        sql.execute("DROP OWNED BY guest")
        sql.execute("DROP ROLE guest")

    def test_may_have_its_dedup_records_in_partitions(self, make, sql):
        make().open()
        sql.execute("ALTER TABLE seen RENAME TO one")
        sql.execute("CREATE TABLE seen (LIKE one, PRIMARY KEY (key)) PARTITION BY HASH (key)")
        sql.execute("DROP TABLE one")
        for number in range(2):
            sql.execute(
                f"CREATE TABLE seen_{number} PARTITION OF seen"
                f" FOR VALUES WITH (MODULUS 2, REMAINDER {number})"
            )
        store = make()
        events = [(an_event(f"h-{number}", at=time.time()), {"crm": 0.0}) for number in range(20)]
        for acceptance in (Acceptance.NEW, Acceptance.DUPLICATE):
            receipts = store.accept_all(events)
            assert {receipt.acceptance for receipt in receipts} == {acceptance}
        assert all(store.recall(event) for event, _ in events)
        sql.execute("UPDATE seen SET expires_s = 0")
        store.settle([Settled(row.event_id, "crm") for row in claim(store)])
        store.flush()
        assert store.prune(["crm"], limit=100) == 20

    def test_shows_no_password_where_it_names_itself(self, make, postgresql, sql):
        assert make().place == f"postgresql://127.0.0.1:{postgresql.port}/{name_of(sql)}"
        assert PASSWORD not in make().describe()

    def test_while_it_cannot_be_reached_whoever_asks_is_told_at_once(self, make, empty_database):
        store = make(empty_database.replace("127.0.0.1", "192.0.2.1"))  # nobody answers there
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(SegmentStreamError):
                store.accept(an_event(), {})
        assert time.monotonic() - began < 20  # one of them may wait for three seconds


class TestTheClock:
    def test_is_the_servers(self, make, sql):
        store = make()
        store.open()
        (server,) = sql.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        assert abs(store.now() - server) < 5

    def test_goes_on_from_where_the_server_was_whatever_becomes_of_this_machines(self):
        monotonic = [100.0]

        class TheServer:
            def execute(self, _statement):
                monotonic[0] += 2
                return self

            def fetchone(self):
                return (5000.0,)

        server: Any = TheServer()
        clock = ServerClock(lambda: monotonic[0], lambda: 9000.0)
        assert clock() == 9000.0
        clock.read(server)
        assert clock() == 5001.0
        monotonic[0] += 10
        assert clock() == 5011.0
