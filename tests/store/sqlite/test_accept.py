from __future__ import annotations

import sqlite3

import pytest

from segmentstream_api.store.records import Acceptance, Receipt
from segmentstream_api.store.sqlite.accept import delete_settled, insert_events
from segmentstream_api.store.sqlite.file import SqliteFile
from tests.fakes import NOON, an_event, an_event_without_hit_id


@pytest.fixture
def writer(tmp_path):
    file = SqliteFile(tmp_path / "store.db")
    with file.writing() as writer:
        # SQLite's own default. Some systems allow more, and would hide that it is too little.
        writer.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
        yield writer
    file.close()


def insert(writer, *events, destinations=("crm",)):
    leases = dict.fromkeys(destinations, 25.0)
    return insert_events(
        writer, [(event, leases) for event in events], now=NOON, remember_until=NOON + 60
    )


def outbox(writer):
    query = "SELECT hit_id, destination FROM outbox JOIN event ON id = event_id"
    return sorted(writer.execute(query).fetchall())


def test_every_receipt_is_that_of_its_own_event(writer):
    insert(writer, an_event("old"))
    receipts = insert(
        writer,
        an_event("a"),
        an_event("old"),
        an_event("b"),
        an_event("a"),
        an_event("b", context={"ip": "1"}),
        an_event("c"),
    )
    assert [receipt.acceptance for receipt in receipts] == [
        Acceptance.NEW,
        Acceptance.DUPLICATE,
        Acceptance.NEW,
        Acceptance.DUPLICATE,
        Acceptance.CONFLICT,
        Acceptance.NEW,
    ]
    for receipt, hit_id in zip(receipts, ["a", None, "b", None, None, "c"], strict=True):
        found = writer.execute("SELECT hit_id FROM event WHERE id = ?", (receipt.event_id,))
        assert found.fetchone() == ((hit_id,) if hit_id else None)


def test_each_event_has_its_own_destinations_also_none(writer):
    receipts = insert_events(
        writer,
        [
            (an_event("a"), {"crm": 25.0}),
            (an_event("nobody's"), {}),
            (an_event("b"), {"crm": 0.0, "web": 5.0}),
        ],
        now=NOON,
        remember_until=NOON + 60,
    )
    assert outbox(writer) == [("a", "crm"), ("b", "crm"), ("b", "web")]
    assert receipts[1] == Receipt(Acceptance.NEW)
    assert receipts[2].leases == {"crm": NOON * 1000, "web": (NOON + 5) * 1000}


def test_events_without_hit_id_are_never_duplicates_of_one_another(writer):
    event = an_event_without_hit_id()
    receipts = insert(writer, event, event)
    assert [receipt.acceptance for receipt in receipts] == [Acceptance.NEW] * 2
    assert receipts[0].event_id != receipts[1].event_id


def test_nothing_is_inserted_for_nobody(writer):
    assert insert(writer) == []
    assert outbox(writer) == []


def test_a_commit_may_be_of_any_size(writer):
    """256 events to 40 destinations: 51,200 values in one statement, and SQLite takes 32,766."""
    destinations = [f"destination-{number}" for number in range(40)]
    events = [an_event() for _ in range(256)]
    receipts = insert(writer, *events, destinations=destinations)
    expected = sorted((event.hit_id, name) for event in events for name in destinations)
    assert outbox(writer) == expected
    for receipt, event in zip(receipts, events, strict=True):
        found = writer.execute("SELECT key, body FROM event WHERE id = ?", (receipt.event_id,))
        assert found.fetchone() == (event.key, event.body)
    delete_settled(writer, [(r.event_id, name) for r in receipts for name in destinations[1:]])
    assert outbox(writer) == sorted((event.hit_id, destinations[0]) for event in events)
    delete_settled(writer, [(receipt.event_id, destinations[0]) for receipt in receipts])
    assert outbox(writer) == []
    assert writer.execute("SELECT COUNT(*) FROM event").fetchone() == (0,)
