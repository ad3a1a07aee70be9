from __future__ import annotations

import logging
import math

import pytest
from prometheus_client import REGISTRY

from segmentstream_api.delivery.breaker import Breaker
from segmentstream_api.delivery.recorder import OutcomeRecorder
from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.store.records import DestinationState
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import NOON, an_event


class RecordingStore(SqliteStore):
    """Remembers what it is asked for; `release_error` is raised by `release`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.notes = []
        self.released = []
        self.release_error = None

    def note(self, destination, state):
        self.notes.append((destination, state))

    def release(self, destination):
        self.released.append(destination)
        if self.release_error is not None:
            raise self.release_error


@pytest.fixture
def store(connect):
    return connect(RecordingStore)


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


@pytest.fixture
def watch(store, breaker, clock):
    return OutcomeRecorder("crm", breaker, store, clock)


def counted(outcome):
    labels = {"destination": "crm", "outcome": outcome}
    return REGISTRY.get_sample_value("segmentstream_deliveries_total", labels) or 0


def test_every_outcome_is_counted(watch):
    before = [counted(outcome) for outcome in ("delivered", "retry", "rejected")]
    watch.outcomes([Delivered(), Delivered(), Delivered(), Retry("x"), Retry("x"), Rejected("x")])
    after = [counted(outcome) for outcome in ("delivered", "retry", "rejected")]
    assert [one - other for one, other in zip(after, before, strict=True)] == [3, 2, 1]


def test_five_failures_in_a_row_open_the_breaker_which_is_logged_once(
    watch, breaker, store, caplog
):
    for _ in range(7):
        watch.outcomes([Retry("HTTP 503")])
    assert breaker.is_open
    assert store.notes[-1] == ("crm", DestinationState("open", NOON, "HTTP 503", NOON))
    assert len(store.notes) == 7, "each failure is noted once"
    loud = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in loud] == [
        "destination crm fails (HTTP 503): its breaker opens, its events wait"
    ]


def test_a_failing_batch_is_one_failure_however_many_are_in_it(watch, breaker):
    watch.outcomes([Retry("HTTP 503")] * 50)
    assert not breaker.is_open


def test_a_failure_is_noted_even_if_the_breaker_stays_closed(watch, store):
    watch.outcomes([Retry("HTTP 503")])
    assert store.notes == [("crm", DestinationState("closed", None, "HTTP 503", NOON))]


def test_an_answer_closes_the_breaker_releases_what_waits_and_notes_it(
    watch, breaker, store, clock
):
    for _ in range(5):
        watch.outcomes([Retry("HTTP 503")])
    clock.advance(60)
    watch.outcomes([Delivered()])
    assert not breaker.is_open
    assert store.released == ["crm"]
    assert store.notes[-1] == ("crm", DestinationState("closed", NOON + 60))


def test_to_refuse_an_event_is_an_answer_too_and_is_logged(watch, breaker, store, caplog):
    for _ in range(5):
        watch.outcomes([Retry("HTTP 503")])
    watch.outcomes([Rejected("HTTP 422")])
    assert not breaker.is_open
    assert "destination crm rejected an event: HTTP 422" in caplog.text


def test_nothing_is_released_while_all_is_well(watch, store):
    watch.outcomes([Delivered()])
    assert store.released == []
    assert store.notes == []


def test_a_store_that_cannot_release_is_no_fault_of_the_delivery(watch, breaker, store, caplog):
    store.release_error = StoreUnavailable("locked")
    for _ in range(5):
        watch.outcomes([Retry("HTTP 503")])
    watch.outcomes([Delivered()])
    assert not breaker.is_open
    assert "its backlog was not released: locked" in caplog.text


@pytest.mark.parametrize("misconfigured", [True, False])
def test_what_only_the_operator_can_mend_is_said_loudly(watch, caplog, misconfigured):
    watch.outcomes([Retry("HTTP 401", misconfigured=misconfigured)])
    (record,) = caplog.records
    assert record.levelno == (logging.ERROR if misconfigured else logging.WARNING)
    assert "HTTP 401" in record.getMessage()


def test_the_longest_request_to_be_left_alone_counts(watch, breaker, clock):
    watch.outcomes([Retry("", after_seconds=5), Retry("", after_seconds=60), Retry("")])
    clock.advance(59)
    assert not breaker.admits
    clock.advance(1)
    assert breaker.admits


@pytest.mark.parametrize("asked", [10 * 365 * 86_400.0, math.inf])
def test_but_nobody_is_left_alone_for_more_than_an_hour(watch, breaker, clock, asked):
    watch.outcomes([Retry("HTTP 429", after_seconds=asked)])
    clock.advance(3599)
    assert not breaker.admits
    clock.advance(1)
    assert breaker.admits


def test_what_is_noted_is_what_the_store_tells(connect, breaker, clock):
    store = connect()
    store.accept(an_event(), {"crm": 0})
    OutcomeRecorder("crm", breaker, store, clock).outcomes([Retry("HTTP 503")])
    store.flush()
    assert store.stats()["crm"].state == DestinationState("closed", None, "HTTP 503", NOON)


def test_a_subclass_of_an_outcome_counts_as_what_it_is(watch, breaker):
    class Throttled(Retry):
        pass

    before = counted("retry")
    for _ in range(5):
        watch.outcomes([Throttled("slow down")])
    assert counted("retry") == before + 5
    assert breaker.is_open


def test_each_failed_probe_is_noted_and_a_new_reason_is_logged(watch, store, clock, caplog):
    for _ in range(5):
        watch.outcomes([Retry("could not connect")])
    opened_at = store.notes[-1][1].since
    caplog.clear()
    clock.advance(3600)
    watch.outcomes([Retry("HTTP 401", misconfigured=True)])
    watch.outcomes([Retry("HTTP 401", misconfigured=True)])
    assert store.notes[-1] == (
        "crm",
        DestinationState("open", opened_at, "HTTP 401", opened_at + 3600),
    )
    assert caplog.text.count("HTTP 401") == 1
