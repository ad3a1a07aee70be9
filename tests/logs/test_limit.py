from __future__ import annotations

import pytest

from segmentstream_api.logs.limit import WINDOW_SECONDS, Limiter


@pytest.fixture
def limiter(clock):
    return Limiter(clock)


def test_the_first_few_of_a_key_are_admitted(limiter):
    assert [limiter.admits("a", 3) for _ in range(5)] == [True, True, True, False, False]


def test_each_key_has_its_own_few(limiter):
    assert [limiter.admits(key, 1) for key in "abab"] == [True, True, False, False]


def test_a_window_later_the_next_few_are_admitted_once_its_end_was_told(limiter, clock):
    for _ in range(4):
        limiter.admits("a", 1)
    clock.advance(WINDOW_SECONDS - 1)
    assert limiter.ended() == []
    clock.advance(1)
    assert limiter.ended() == [("a", 3)]
    assert limiter.admits("a", 1)


def test_what_was_suppressed_is_told_once(limiter, clock):
    for _ in range(2):
        limiter.admits("a", 1)
    clock.advance(WINDOW_SECONDS)
    assert limiter.ended() == [("a", 1)]
    assert limiter.ended() == []


def test_a_window_without_anything_suppressed_is_not_worth_a_word(limiter, clock):
    limiter.admits("a", 1)
    clock.advance(WINDOW_SECONDS)
    assert limiter.ended() == []


def test_at_the_end_of_a_process_all_of_it_is_told(limiter):
    for _ in range(2):
        limiter.admits("a", 1)
    assert limiter.ended(all_of_them=True) == [("a", 1)]


def test_it_says_whether_there_is_something_left_to_tell(limiter, clock):
    limiter.admits("a", 1)
    assert not limiter.holds_back
    limiter.admits("a", 1)
    assert limiter.holds_back
    clock.advance(WINDOW_SECONDS)
    limiter.ended()
    assert not limiter.holds_back


def test_what_is_over_takes_no_memory(limiter, clock):
    for key in range(1000):
        limiter.admits(key, 1)
    clock.advance(WINDOW_SECONDS)
    limiter.ended()
    assert not limiter.ended(all_of_them=True)
    assert not vars(limiter)["_windows"]
