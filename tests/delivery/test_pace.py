from __future__ import annotations

import logging

import pytest

from segmentstream_api.delivery.pace import Pace


@pytest.fixture
def pace():
    return Pace("crm", 2.0)


def test_a_new_one_keeps_up(pace):
    assert pace.keeps_up


def test_it_falls_behind_when_a_request_has_waited_in_vain(pace):
    pace.missed()
    assert not pace.keeps_up


def test_an_attempt_within_the_budget_mends_it(pace):
    pace.missed()
    pace.took(1.99)
    assert pace.keeps_up


@pytest.mark.parametrize("seconds", [2.0, 10.0])
def test_one_that_takes_the_whole_budget_does_not(pace, seconds):
    pace.missed()
    pace.took(seconds)
    assert not pace.keeps_up


def test_a_slow_attempt_that_no_request_waited_for_changes_nothing(pace):
    pace.took(10.0)
    assert pace.keeps_up


def test_it_says_each_change_once(pace, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        pace.missed()
        pace.missed()
        pace.took(0.1)
        pace.took(0.1)
    behind, mended = caplog.messages[:2]
    assert "crm takes longer than the push budget" in behind
    assert "crm answers within the push budget again" in mended
    assert caplog.messages == [behind, mended] * 2
