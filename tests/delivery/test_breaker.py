from __future__ import annotations

import math

import pytest

from segmentstream_api.delivery.breaker import (
    FAILURES_TO_OPEN,
    PROBE_EVERY_SECONDS,
    Breaker,
    Permit,
)
from tests.fakes import Clock


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def fail(breaker, times):
    return [breaker.failed() for _ in range(times)]


def test_a_new_one_is_closed_and_admits_everything(breaker):
    assert not breaker.is_open
    assert breaker.admits
    assert breaker.permit() is Permit.EVERYTHING


def test_it_opens_after_five_failures_in_a_row_and_says_so_once(breaker):
    assert FAILURES_TO_OPEN == 5
    assert fail(breaker, 7) == [False, False, False, False, True, False, False]
    assert breaker.is_open
    assert not breaker.admits


def test_a_success_in_between_starts_the_count_anew(breaker):
    fail(breaker, 4)
    assert not breaker.succeeded()
    assert fail(breaker, 4) == [False] * 4
    assert not breaker.is_open


def test_an_open_one_permits_one_probe_every_ten_seconds(breaker, clock):
    assert PROBE_EVERY_SECONDS == 10
    fail(breaker, 5)
    assert breaker.permit() is Permit.NOTHING
    clock.advance(9.9)
    assert breaker.permit() is Permit.NOTHING
    clock.advance(0.1)
    assert breaker.permit() is Permit.PROBE
    assert breaker.permit() is Permit.NOTHING, "to ask is to take it"
    breaker.failed()
    clock.advance(9.9)
    assert breaker.permit() is Permit.NOTHING
    clock.advance(0.1)
    assert breaker.permit() is Permit.PROBE


def test_a_success_closes_it_and_says_so_once(breaker):
    fail(breaker, 5)
    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert breaker.admits
    assert breaker.permit() is Permit.EVERYTHING


def test_a_destination_that_asks_to_be_left_alone_is_left_alone(breaker, clock):
    breaker.failed(hold_seconds=60)
    assert not breaker.is_open
    assert not breaker.admits
    assert breaker.permit() is Permit.NOTHING
    clock.advance(59.9)
    assert not breaker.admits
    clock.advance(0.1)
    assert breaker.admits
    assert breaker.permit() is Permit.EVERYTHING


def test_even_from_probes(breaker, clock):
    fail(breaker, 4)
    breaker.failed(hold_seconds=60)
    clock.advance(59.9)
    assert breaker.permit() is Permit.NOTHING
    clock.advance(0.1)
    assert breaker.permit() is Permit.PROBE


def test_a_shorter_request_does_not_shorten_a_longer_one(breaker, clock):
    breaker.failed(hold_seconds=60)
    breaker.failed(hold_seconds=1)
    clock.advance(59)
    assert not breaker.admits


def test_a_request_that_is_no_number_asks_for_nothing(breaker):
    breaker.failed(hold_seconds=math.nan)
    assert breaker.admits
