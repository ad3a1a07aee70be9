from __future__ import annotations

import pytest

from segmentstream_api.intake.recent_hits import REMEMBERED_SECONDS, RecentHits
from segmentstream_api.store.records import Acceptance
from tests.fakes import Clock, an_event, an_event_without_hit_id


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recent(clock):
    return RecentHits(most=3, monotonic=clock)


def test_what_was_never_remembered_is_the_stores_to_tell(recent):
    assert recent.recall(an_event("one")) is None


def test_a_remembered_event_is_a_duplicate(recent):
    recent.remember(an_event("one"))
    assert recent.recall(an_event("one")).acceptance is Acceptance.DUPLICATE
    assert recent.recall(an_event("two")) is None


def test_another_body_under_its_hit_id_is_a_conflict(recent):
    recent.remember(an_event("one"))
    other = an_event("one", context={"ip": "192.0.2.1"})
    assert recent.recall(other).acceptance is Acceptance.CONFLICT


def test_the_same_hit_id_of_another_project_is_not_remembered(recent):
    recent.remember(an_event("one"))
    assert recent.recall(an_event("one", project="blog")) is None


def test_an_event_without_hit_id_is_never_a_duplicate(recent):
    event = an_event_without_hit_id()
    recent.remember(event)
    assert recent.recall(event) is None


def test_it_is_forgotten_after_a_while(recent, clock):
    recent.remember(an_event("one"))
    clock.advance(REMEMBERED_SECONDS - 1)
    assert recent.recall(an_event("one")) is not None
    clock.advance(1)
    assert recent.recall(an_event("one")) is None
    recent.remember(an_event("one"))
    assert recent.recall(an_event("one")) is not None


def test_the_oldest_is_forgotten_when_there_are_too_many(recent):
    for hit_id in ("one", "two", "three", "four"):
        recent.remember(an_event(hit_id))
    assert recent.recall(an_event("one")) is None
    assert recent.recall(an_event("four")) is not None
