from __future__ import annotations

import sqlite3

import pytest
from prometheus_client import REGISTRY

from segmentstream_api.destinations.base import Delivered, Retry
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.intake.intake import Intake
from segmentstream_api.intake.recent_hits import RecentHits
from segmentstream_api.store.records import Acceptance
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import (
    A_DAY,
    Clock,
    Everything,
    FakeBatchDestination,
    FakeDestination,
    FakeLocalDestination,
    Gate,
    Task,
    a_lane,
    always,
    an_event,
    an_event_without_hit_id,
    until,
)


class Service:
    """An intake before fake destinations."""

    def __init__(self, path, **more):
        self.clock = Clock()
        self.store = SqliteStore(
            SqliteFile(path, floor_bytes=0, wait_for_lock_seconds=0.1),
            dedup_window_seconds=A_DAY,
            retry_for_seconds=A_DAY,
            dead_letters_for_seconds=A_DAY,
            clock=self.clock,
        )
        self.store.open()
        self.crm = FakeDestination("crm")
        self.archive = FakeLocalDestination("archive")
        self.lanes = [
            a_lane(destination, self.store, self.clock, most_pushes=2)
            for destination in (self.crm, self.archive)
        ]
        self.woken: list[str] = []
        self.intake = Intake(
            self.store,
            Everything(self.lanes),
            push_budget_seconds=20.0,
            wake=lambda lane: self.woken.append(lane.name),
            **more,
        )
        self.take = self.intake.take

    def waiting(self):
        self.store.flush()
        return {name: stats.waiting for name, stats in self.store.stats().items()}

    def due(self, destination):
        """What anybody may send now."""
        self.store.flush()
        return list(self.store.claim(destination, limit=100, lease_seconds=25))

    def free_places(self):
        crm = self.lanes[0]
        count = next(taken for taken in range(9) if not crm.reserve())
        for _ in range(count):
            crm.cancel()
        return count

    def close(self):
        for lane in self.lanes:
            lane.close()
        self.store.close()


@pytest.fixture
def start(tmp_path):
    made = []

    def start(**more):
        made.append(Service(tmp_path / "store.db", **more))
        return made[-1]

    yield start
    for service in made:
        service.close()


@pytest.fixture
def service(start):
    return start()


def counted(acceptance):
    labels = {"acceptance": acceptance}
    return REGISTRY.get_sample_value("segmentstream_events_total", labels) or 0


def commits():
    """How many took their time, how many had events, and how many events."""
    names = ("commit_seconds_count", "commit_events_count", "commit_events_sum")
    return [REGISTRY.get_sample_value(f"segmentstream_{name}") for name in names]


def test_a_new_event_is_delivered_to_every_destination_within_the_request(service):
    assert service.take(an_event()) is Acceptance.NEW
    assert len(service.crm.keys) == len(service.archive.keys) == 1
    assert service.waiting() == {}


def test_a_commit_is_measured_with_the_events_in_it(service):
    before = commits()
    service.take(an_event())
    after = commits()
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_all_destinations_get_the_same_key_and_body(service):
    event = an_event()
    service.take(event)
    assert service.crm.keys == service.archive.keys == [event.key.hex()]


def test_a_duplicate_is_acknowledged_and_sent_to_nobody(service):
    service.take(an_event("h-1"))
    assert service.take(an_event("h-1")) is Acceptance.DUPLICATE
    assert len(service.crm.keys) == len(service.archive.keys) == 1


def test_repeating_a_hit_id_does_not_extend_its_dedup_window(start):
    clock = Clock()
    service = start(recent_hits=RecentHits(monotonic=clock))
    stored_at = []
    for seconds in range(0, int(3 * A_DAY), 500):
        if service.take(an_event("h-1")) is Acceptance.NEW:
            stored_at.append(seconds)
        clock.advance(500)
        service.clock.advance(500)
    assert stored_at == [0, 86_500, 173_000]  # the first repetition after each day


def test_a_conflict_is_acknowledged_sent_to_nobody_and_logged_without_its_hit_id(service, caplog):
    service.take(an_event("canary-1", context={"ip": "1"}))
    assert service.take(an_event("canary-1", context={"ip": "2"})) is Acceptance.CONFLICT
    assert len(service.crm.keys) == 1
    assert "project shop: a hit id came again with another body" in caplog.text
    assert "canary-1" not in caplog.text


def test_events_without_hit_id_are_all_delivered(service):
    for _ in range(2):
        assert service.take(an_event_without_hit_id()) is Acceptance.NEW
    assert len(service.crm.batches) == 2


def test_an_event_for_nobody_is_acknowledged_and_remembered(service):
    assert service.take(an_event("h-1", project="nobody")) is Acceptance.NEW
    assert service.take(an_event("h-1", project="nobody")) is Acceptance.DUPLICATE
    assert service.crm.keys == []


def test_every_acknowledgement_is_counted(service):
    before = [counted(each.value) for each in Acceptance]
    service.take(an_event("h-1"))
    service.take(an_event("h-1"))
    service.take(an_event("h-1", context={"ip": "1"}))
    assert [counted(each.value) for each in Acceptance] == [count + 1 for count in before]


def test_it_is_acknowledged_whatever_its_destinations_answer(service):
    service.crm.answer = always(Retry("HTTP 503"))
    assert service.take(an_event()) is Acceptance.NEW
    assert service.waiting() == {"crm": 1}


def test_it_is_safe_before_anything_is_sent(service):
    seen = []

    def look(batch):
        seen.append(service.store.recall(an_event("h-1")))
        return [Delivered()]

    service.crm.answer = look
    service.take(an_event("h-1"))
    assert seen[0].acceptance is Acceptance.DUPLICATE


def test_a_destination_whose_breaker_is_open_costs_nothing_and_loses_nothing(service):
    service.crm.answer = always(Retry("HTTP 503"))
    for _ in range(5):
        service.take(an_event())
    assert service.woken == []
    service.take(an_event("h-6"))
    assert len(service.crm.keys) == 5
    assert len(service.archive.keys) == 6
    assert service.woken == ["crm"]
    assert [row.key for row in service.due("crm")] == [an_event("h-6").key]


def test_beyond_the_limit_of_waiting_requests_events_are_left_to_redelivery(service):
    gate = Gate()

    def hang(batch):
        gate.pass_through()
        return [Delivered()]

    service.crm.answer = hang
    waiting = [Task(service.take, an_event(f"h-{number}")) for number in (0, 1)]
    for _ in waiting:
        gate.wait_for_somebody()
    for number in (2, 3, 4):
        service.take(an_event(f"h-{number}"))
    assert len(service.archive.keys) >= 3
    assert service.woken == ["crm"] * 3
    due = {row.key for row in service.due("crm")}
    assert due == {an_event(f"h-{number}").key for number in (2, 3, 4)}
    gate.open()
    for task in waiting:
        task.result()
    assert service.waiting() == {"crm": 3}


def test_a_push_that_goes_on_after_the_budget_is_nobody_elses_to_send(service):
    gate = Gate()

    def hang(batch):
        gate.pass_through()
        return [Delivered()]

    service.crm.answer = hang
    impatient = Intake(
        service.store,
        Everything(service.lanes),
        push_budget_seconds=0.01,
        wake=service.woken.append,
    )
    impatient.take(an_event())
    assert service.due("crm") == []
    gate.open()
    service.lanes[0].close()
    assert service.waiting() == {}


class TestWhenTheStoreIsUnavailable:
    @pytest.fixture
    def lock(self, service, tmp_path):
        connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.close()

    def test_the_event_is_refused_sent_to_nobody_and_its_retry_is_new(self, service, lock):
        with pytest.raises(StoreUnavailable):
            service.take(an_event("h-1"))
        assert service.crm.keys == service.archive.keys == []
        lock.execute("COMMIT")
        assert service.take(an_event("h-1")) is Acceptance.NEW
        assert len(service.crm.keys) == len(service.archive.keys) == 1

    def test_a_commit_that_failed_is_measured_too(self, service, lock):
        before = commits()
        with pytest.raises(StoreUnavailable):
            service.take(an_event())
        assert commits() == [each + 1 for each in before]

    def test_no_place_is_lost(self, service, lock):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                service.take(an_event())
        assert service.free_places() == 2

    def test_a_duplicate_is_acknowledged_all_the_same_by_every_worker(self, service, start, lock):
        other = start()
        lock.execute("COMMIT")
        service.take(an_event("h-1"))
        lock.execute("BEGIN IMMEDIATE")
        for worker in (service, other):
            assert worker.take(an_event("h-1")) is Acceptance.DUPLICATE
            assert worker.take(an_event("h-1", context={"ip": "1"})) is Acceptance.CONFLICT


class TestWhileAnotherProcessStandsStillInTheMiddleOfWriting:
    """Stopped with Ctrl-Z, or on a disk that does not answer: only the first one waits for it."""

    @pytest.fixture
    def service(self, tmp_path):
        service = Service(tmp_path / "store.db", patience_seconds=0.05)
        service.take(an_event("before"))
        yield service
        service.close()

    @pytest.fixture
    def stopped(self, service, tmp_path):
        """The gate that it stands before; and somebody who waits for it."""
        gate = Gate()

        def write():
            file = SqliteFile(tmp_path / "store.db")
            with file.writing():
                gate.pass_through()
            file.close()

        writing = Task(write)
        gate.wait_for_somebody()
        first = Task(service.take, an_event("first"))
        until(lambda: vars(vars(service.intake)["_arrivals"])["_led"])
        yield gate
        gate.open()
        writing.result()
        assert first.result() is Acceptance.NEW

    def test_events_are_refused_and_their_retries_are_new(self, service, stopped):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                service.take(an_event("h-1"))
        assert service.free_places() == 1  # the other one is the first's
        stopped.open()
        assert service.take(an_event("h-1")) is Acceptance.NEW
        assert service.crm.keys.count(an_event("h-1").key.hex()) == 1

    def test_duplicates_are_acknowledged(self, service, stopped):
        assert service.take(an_event("before")) is Acceptance.DUPLICATE


def test_a_duplicate_of_what_another_worker_took_goes_to_nobody_and_takes_no_place(start):
    worker, other = start(), start()
    worker.take(an_event("h-1"))
    for _ in range(5):
        assert other.take(an_event("h-1")) is Acceptance.DUPLICATE
    assert other.take(an_event("h-1", context={"ip": "1"})) is Acceptance.CONFLICT
    assert other.crm.keys == other.archive.keys == []
    assert other.free_places() == 2


class TestTheEventsOfOneRequest:
    def test_they_share_one_transaction_and_each_gets_its_own_result(self, service):
        service.take(an_event("old"))
        before = commits()
        events = [an_event("a"), an_event("old", context={"ip": "1"}), an_event("a"), an_event("b")]
        assert service.intake.take_all(events) == [
            Acceptance.NEW,
            Acceptance.CONFLICT,
            Acceptance.DUPLICATE,
            Acceptance.NEW,
        ]
        assert [new - old for new, old in zip(commits(), before, strict=True)] == [1, 1, 3]

    def test_a_local_destination_writes_them_together_and_in_their_order(self, service):
        events = [an_event(f"h-{number}") for number in range(5)]
        service.intake.take_all(events)
        assert service.archive.batches == [[event.key.hex() for event in events]]

    def test_what_has_no_place_is_due_at_once_and_sent_once(self, service):
        events = [an_event(f"h-{number}") for number in range(5)]
        service.intake.take_all(events)  # two places, each for one event
        assert sorted(service.crm.keys) == sorted(event.key.hex() for event in events[:2])
        assert service.woken == ["crm"]
        assert [row.key for row in service.due("crm")] == [event.key for event in events[2:]]
        assert service.free_places() == 2

    def test_a_destination_that_takes_batches_gets_them_full(self, service):
        crm = FakeBatchDestination("crm")
        lane = a_lane(crm, service.store, service.clock, most_pushes=2)
        intake = Intake(
            service.store, Everything([lane]), push_budget_seconds=20.0, wake=service.woken.append
        )
        intake.take_all([an_event(f"h-{number}") for number in range(120)])
        assert sorted(map(len, crm.batches)) == [50, 50]
        assert service.waiting() == {"crm": 20}
        lane.close()

    def test_a_place_whose_events_are_all_duplicates_is_given_back(self, start):
        worker, other = start(), start()
        events = [an_event("a"), an_event("b")]
        worker.intake.take_all(events)
        assert other.intake.take_all(events) == [Acceptance.DUPLICATE] * 2
        assert other.free_places() == 2

    def test_none_is_kept_when_the_store_is_unavailable(self, service, tmp_path):
        connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        events = [an_event("a"), an_event("b")]
        with pytest.raises(StoreUnavailable):
            service.intake.take_all(events)
        connection.close()
        assert service.crm.keys == service.archive.keys == []
        assert service.free_places() == 2
        assert service.intake.take_all(events) == [Acceptance.NEW] * 2

    def test_nothing_is_a_request_like_any_other(self, service):
        before = commits()
        assert service.intake.take_all([]) == []
        assert commits() == before
