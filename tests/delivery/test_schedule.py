from __future__ import annotations

import math

import pytest

from segmentstream_api.delivery.schedule import Schedule
from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.store.records import Buried, OutboxRow, Postponed, Settled
from tests.fakes import A_DAY, NOON, Clock

RETRY_FOR = 3 * A_DAY


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def schedule(clock):
    return Schedule(retry_for_seconds=RETRY_FOR, clock=clock, uniform=lambda low, high: 1.0)


def a_row(attempts=0):
    return OutboxRow(
        event_id=7,
        destination="crm",
        lease_ms=123,
        attempts=attempts,
        received_at=NOON,
        key=b"k" * 16,
        body=b"{}",
    )


def delay(schedule, outcome, attempts=0):
    return schedule.settlement(a_row(attempts), outcome).due_at - NOON


def test_what_is_delivered_is_settled(schedule):
    assert schedule.settlement(a_row(), Delivered()) == Settled(7, "crm")


def test_what_is_rejected_is_buried_with_its_reason(schedule):
    assert schedule.settlement(a_row(2), Rejected("HTTP 422")) == Buried(7, "crm", 3, "HTTP 422")


def test_what_failed_is_postponed_by_whoever_holds_the_lease(schedule):
    assert schedule.settlement(a_row(2), Retry("HTTP 503")) == Postponed(
        7, "crm", lease_ms=123, attempts=3, due_at=NOON + 20, held=False, reason="HTTP 503"
    )


def test_it_is_tried_again_after_5_seconds_doubling_to_300(schedule):
    delays = [delay(schedule, Retry(""), attempts) for attempts in range(9)]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_and_never_later_however_often_it_was_tried(schedule):
    assert delay(schedule, Retry(""), attempts=100_000) == 300


def test_each_delay_is_up_to_20_percent_shorter_or_longer(clock):
    asked = []

    def uniform(low, high):
        asked.append((low, high))
        return high

    schedule = Schedule(retry_for_seconds=RETRY_FOR, clock=clock, uniform=uniform)
    assert delay(schedule, Retry("")) == 6
    assert asked == [(0.8, 1.2)]


def test_by_default_no_two_delays_are_alike_and_all_are_in_bounds(clock):
    schedule = Schedule(retry_for_seconds=RETRY_FOR, clock=clock)
    delays = {delay(schedule, Retry("")) for _ in range(200)}
    assert len(delays) > 100
    assert all(4 <= each <= 6 for each in delays)


def test_what_the_destination_asks_for_is_honoured_and_held(schedule):
    settlement = schedule.settlement(a_row(), Retry("HTTP 429", after_seconds=60))
    assert settlement.due_at == NOON + 60
    assert settlement.held


@pytest.mark.parametrize("asked", [3600, 3601, 10 * 365 * A_DAY, math.inf])
def test_but_no_longer_than_an_hour(schedule, asked):
    assert delay(schedule, Retry("HTTP 429", after_seconds=asked)) == 3600


@pytest.mark.parametrize("asked", [0.0, 1.0, -5.0, -math.inf, math.nan])
def test_and_never_sooner_than_without_asking(schedule, asked):
    assert delay(schedule, Retry("HTTP 429", after_seconds=asked)) == 5


def test_after_72_hours_it_is_given_up_and_the_reason_says_so(schedule, clock):
    clock.now = NOON + RETRY_FOR - 1
    assert isinstance(schedule.settlement(a_row(), Retry("HTTP 503")), Postponed)
    clock.now = NOON + RETRY_FOR
    assert schedule.settlement(a_row(9), Retry("HTTP 503")) == Buried(
        7, "crm", 10, "tried for too long: HTTP 503"
    )


def test_what_is_delivered_late_is_delivered(schedule, clock):
    clock.now = NOON + 2 * RETRY_FOR
    assert schedule.settlement(a_row(), Delivered()) == Settled(7, "crm")


@pytest.mark.parametrize("outcome", [Retry, Rejected])
def test_a_reason_is_a_sentence_and_not_a_book(schedule, outcome):
    assert len(schedule.settlement(a_row(), outcome("x" * 100_000)).reason) <= 500


def test_what_is_handed_back_is_due_at_once_and_was_not_tried(schedule):
    assert schedule.handed_back(a_row(2)) == Postponed(
        7, "crm", lease_ms=123, attempts=2, due_at=NOON, held=False, reason=None
    )
