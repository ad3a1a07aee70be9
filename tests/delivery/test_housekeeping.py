from __future__ import annotations

import pytest

from segmentstream_api.delivery.housekeeping import (
    FLUSH_EVERY_SECONDS,
    MEND_CLOCK_EVERY_SECONDS,
    PRUNE_AT_ONCE,
    PRUNE_EVERY_SECONDS,
    Housekeeping,
)
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.store.records import Settled
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import A_DAY, Clock, an_event, until


class RecordingStore(SqliteStore):
    """Remembers its chores; `errors` are raised by the next flushes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.chores = []
        self.errors = []

    def flush(self):
        self.chores.append("flush")
        if self.errors:
            raise self.errors.pop()
        super().flush()

    def mend_clock(self):
        self.chores.append("mend")
        super().mend_clock()

    def prune(self, destinations, *, limit):
        self.chores.append(("prune", tuple(destinations), limit))
        return super().prune(destinations, limit=limit)


PRUNE = ("prune", ("crm",), PRUNE_AT_ONCE)


@pytest.fixture
def store(connect):
    return connect(RecordingStore)


@pytest.fixture
def monotonic():
    return Clock(1000.0)


@pytest.fixture
def housekeeping(store, monotonic):
    return Housekeeping(store, ["crm"], monotonic)


def chores(store, housekeeping):
    store.chores.clear()
    housekeeping.step()
    return store.chores


def test_at_first_everything_is_due(store, housekeeping):
    assert chores(store, housekeeping) == ["flush", "mend", PRUNE]


def test_settlements_are_flushed_at_every_step(store, housekeeping):
    store.accept(an_event(), {"crm": 0})
    (row,) = store.claim("crm", limit=1, lease_seconds=25)
    store.settle([Settled(row.event_id, "crm")])
    housekeeping.step()
    assert store.stats() == {}


def test_each_chore_has_its_own_time(store, housekeeping, monotonic):
    assert FLUSH_EVERY_SECONDS < PRUNE_EVERY_SECONDS < MEND_CLOCK_EVERY_SECONDS
    housekeeping.step()
    assert chores(store, housekeeping) == ["flush"]
    monotonic.advance(PRUNE_EVERY_SECONDS)
    assert chores(store, housekeeping) == ["flush", PRUNE]
    monotonic.advance(MEND_CLOCK_EVERY_SECONDS - PRUNE_EVERY_SECONDS)
    assert chores(store, housekeeping) == ["flush", "mend", PRUNE]


def test_while_there_is_something_to_prune_it_goes_on_at_the_next_step(store, housekeeping, clock):
    store.accept(an_event(), {})
    clock.advance(A_DAY)
    assert chores(store, housekeeping)[-1] == PRUNE
    assert chores(store, housekeeping) == ["flush", PRUNE]
    assert chores(store, housekeeping) == ["flush"]


def test_its_thread_outlives_whatever_a_step_meets(store, housekeeping, caplog):
    store.errors += [LookupError("a defect"), StoreUnavailable("locked")]
    housekeeping.start()
    until(lambda: PRUNE in store.chores)
    housekeeping.stop()
    assert "housekeeping waits: locked" in caplog.text
    assert "housekeeping met a defect" in caplog.text
    assert store.chores.count("flush") >= 3


def test_stopping_what_was_never_started_is_no_fault(housekeeping):
    housekeeping.stop()
