from __future__ import annotations

import threading
from collections import Counter
from functools import partial

import pytest

from segmentstream_api.delivery.redelivery import Redelivery
from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.store.records import DeadLetterFilter, Postponed
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import (
    PATIENCE_SECONDS,
    FakeBatchDestination,
    FakeDestination,
    FakeLocalDestination,
    Gate,
    InThisThread,
    Task,
    a_lane,
    always,
    an_event,
    until,
)

ANY = DeadLetterFilter()


def fill(store, count, **more):
    """Events that wait for the destination; their keys."""
    events = [an_event(**more) for _ in range(count)]
    for event in events:
        store.accept(event, {"crm": 0})
    return [event.key.hex() for event in events]


def waiting(store):
    store.flush()
    return store.stats()["crm"].waiting if "crm" in store.stats() else 0


@pytest.fixture
def redeliver(store, clock):
    """Makes a redelivery whose steps do everything before they return."""

    def redeliver(destination, **more):
        lane = a_lane(destination, store, clock, **more)
        return Redelivery(lane, store, senders=InThisThread())

    return redeliver


def drain(redelivery, store, clock, *, rounds=50):
    """Steps until nothing waits, as time goes by."""
    for _ in range(rounds):
        while redelivery.step():
            store.flush()
        if not waiting(store):
            return
        clock.advance(10)
    pytest.fail(f"{waiting(store)} still wait")


class TestAStep:
    def test_sends_what_is_due_and_says_that_there_was_something(self, store, redeliver):
        redelivery = redeliver(destination := FakeBatchDestination())
        keys = fill(store, 3)
        assert redelivery.step()
        assert destination.batches == [keys]
        assert waiting(store) == 0
        assert not redelivery.step()

    def test_does_nothing_while_nothing_is_due(self, store, redeliver):
        redelivery = redeliver(destination := FakeBatchDestination())
        store.accept(an_event(), {"crm": 25, "archive": 0})
        assert not redelivery.step()
        assert destination.batches == []

    def test_sends_full_batches(self, store, redeliver):
        redelivery = redeliver(destination := FakeBatchDestination())
        fill(store, 120)
        assert redelivery.step()
        assert [len(batch) for batch in destination.batches] == [50, 50, 20]

    def test_takes_no_more_than_its_senders_can_send_within_their_lease(self, store, redeliver):
        redelivery = redeliver(destination := FakeDestination(), concurrency=2)
        fill(store, 20)
        assert redelivery.step()
        assert len(destination.batches) == 8

    def test_takes_everything_in_the_end(self, store, clock, redeliver):
        redelivery = redeliver(destination := FakeLocalDestination())
        keys = fill(store, 730)
        drain(redelivery, store, clock)
        assert destination.keys == keys


class TestFailures:
    def test_what_failed_is_tried_again_when_it_is_due_and_not_before(
        self, store, clock, redeliver
    ):
        redelivery = redeliver(destination := FakeDestination(answer=always(Retry("HTTP 503"))))
        fill(store, 1)
        assert redelivery.step()
        store.flush()
        clock.advance(4.9)
        assert not redelivery.step()
        destination.answer = always(Delivered())
        clock.advance(0.1)
        assert redelivery.step()
        assert waiting(store) == 0

    @pytest.mark.parametrize(
        "spoil", [lambda batch: [Retry("HTTP 400")] * len(batch), lambda batch: []]
    )
    def test_one_poison_event_among_a_thousand_dies_and_its_neighbours_are_delivered(
        self, store, clock, redeliver, spoil
    ):
        keys = fill(store, 1000)
        poison = keys[333]
        delivered: list[str] = []

        def answer(batch):
            if any(delivery.key == poison for delivery in batch):
                return [Rejected("HTTP 400")] if len(batch) == 1 else spoil(batch)
            delivered.extend(delivery.key for delivery in batch)
            return [Delivered()] * len(batch)

        redelivery = redeliver(FakeBatchDestination(answer=answer))
        drain(redelivery, store, clock)
        (letter,) = store.dead_letters(ANY, 10)
        assert an_event(letter.hit_id).key.hex() == poison
        assert sorted(delivered) == sorted(set(keys) - {poison})

    def test_what_failed_once_is_tried_alone(self, store, clock, redeliver):
        redelivery = redeliver(destination := FakeBatchDestination(answer=always(Retry("x"))))
        fill(store, 3)
        redelivery.step()
        store.flush()
        clock.advance(5)
        destination.batches.clear()
        destination.answer = always(Delivered())
        fill(store, 3)
        redelivery.step()
        assert [len(batch) for batch in destination.batches] == [1, 1, 1, 3]

    def test_who_asks_to_be_left_alone_gets_nothing_of_what_was_claimed_already(
        self, store, clock, redeliver
    ):
        answer = always(Retry("HTTP 429", after_seconds=60))
        redelivery = redeliver(destination := FakeDestination(answer=answer))
        fill(store, 5)
        redelivery.step()
        store.flush()
        assert len(destination.batches) == 1
        clock.advance(59.9)
        assert not redelivery.step()
        assert len(destination.batches) == 1
        destination.answer = always(Delivered())
        clock.advance(0.1)
        drain(redelivery, store, clock, rounds=1)


class TestAnOpenBreaker:
    @pytest.fixture
    def down(self, store, redeliver):
        """A destination that is down, with ten events waiting and its breaker open."""
        self.redelivery = redeliver(FakeDestination(answer=always(Retry("HTTP 503"))))
        self.lane = vars(self.redelivery)["_lane"]
        fill(store, 10)
        self.redelivery.step()
        store.flush()
        assert self.lane.breaker.is_open
        assert len(self.lane.destination.batches) == 5
        self.lane.destination.batches.clear()
        return self.lane.destination

    def test_lets_one_probe_through_every_ten_seconds(self, store, clock, down):
        for seconds in range(35):
            clock.advance(1)
            self.redelivery.step()
            store.flush()
            assert len(down.batches) == (seconds + 1) // 10
        assert {len(batch) for batch in down.batches} == {1}

    def test_releases_the_backlog_when_a_probe_succeeds(self, store, clock, down):
        clock.advance(10)
        down.answer = always(Delivered())
        assert self.redelivery.step()
        assert not self.lane.breaker.is_open
        assert len(down.batches) == 1
        assert self.redelivery.step()
        assert self.redelivery.step()
        assert len(down.batches) == 10
        assert waiting(store) == 0

    def test_probes_even_if_nothing_is_due(self, store, clock, down):
        clock.advance(10)
        rows = store.claim("crm", limit=100, lease_seconds=25)
        store.settle(
            Postponed(row.event_id, "crm", row.lease_ms, 9, clock() + 300, held=False, reason="x")
            for row in rows
        )
        store.flush()
        assert store.claim("crm", limit=100, lease_seconds=25) == []
        assert self.redelivery.step()
        assert len(down.batches) == 1

    def test_does_not_touch_the_others(self, store, clock, redeliver, down):
        other = FakeDestination("archive")
        healthy = redeliver(other)
        store.accept(an_event(), {"archive": 0})
        assert healthy.step()
        assert len(other.batches) == 1


class TestSideBySide:
    def test_a_slow_batch_does_not_hold_the_others(self, store, clock):
        keys = fill(store, 20)
        gate = Gate()

        def hang_at_the_first(batch):
            if batch[0].key == keys[0]:
                gate.pass_through()
            return [Delivered()]

        destination = FakeDestination(answer=hang_at_the_first)
        redelivery = Redelivery(a_lane(destination, store, clock), store)
        stepping = Task(lambda: [redelivery.step() for _ in range(3)])
        until(lambda: len(destination.batches) == 20)
        stepping.result()
        assert waiting(store) == 1
        gate.open()
        redelivery.join()
        assert waiting(store) == 0

    def test_two_never_send_the_same_without_a_fault(self, connect, clock):
        sent: list[str] = []

        def answer(batch):
            sent.extend(delivery.key for delivery in batch)
            return [Delivered()] * len(batch)

        stores = [connect(), connect()]
        keys = fill(stores[0], 1500)
        redeliveries = [
            Redelivery(a_lane(FakeBatchDestination(answer=answer), store, clock), store)
            for store in stores
        ]

        def run(redelivery):
            while redelivery.step():
                pass
            redelivery.join()

        for task in [Task(run, redelivery) for redelivery in redeliveries]:
            task.result()
        assert Counter(sent) == Counter(keys)
        for store in stores:
            store.flush()
        assert waiting(stores[0]) == 0

    def test_nor_while_the_destination_takes_as_long_as_it_may(self, connect, clock):
        """The other one claims whatever has come free each time that an attempt has ended."""
        stores = [connect(), connect()]
        keys = fill(stores[0], 8)
        other = Redelivery(
            a_lane(second := FakeDestination(), stores[1], clock),
            stores[1],
            senders=InThisThread(),
        )

        def take_long(batch):
            clock.advance(9.9)
            other.step()
            return [Delivered()]

        lane = a_lane(first := FakeDestination(answer=take_long), stores[0], clock)
        slow = Redelivery(lane, stores[0], senders=InThisThread())
        slow.step()
        for store in stores:
            store.flush()
        other.step()
        assert sorted(first.keys + second.keys) == sorted(keys)


class TestItsThread:
    @pytest.fixture
    def started(self, store, clock):
        made = []

        def start(destination, kind=store):
            made.append(Redelivery(a_lane(destination, kind, clock), kind))
            made[-1].start()
            return made[-1]

        yield start
        for redelivery in made:
            redelivery.stop()
            redelivery.join()

    def test_sends_at_once_when_it_is_woken(self, store, started):
        redelivery = started(destination := FakeDestination())
        fill(store, 1)
        redelivery.wake()
        until(lambda: destination.batches)

    def test_outlives_a_store_that_is_not_available(self, connect, started, caplog):
        class Flaky(SqliteStore):
            errors = [LookupError("a defect"), StoreUnavailable("locked")]  # noqa: RUF012 - emptied

            def claim(self, *arguments, **options):
                if self.errors:
                    raise self.errors.pop()
                return super().claim(*arguments, **options)

        flaky = connect(Flaky)
        fill(flaky, 1)
        redelivery = started(destination := FakeDestination(), flaky)

        def said_in(caplog, text):
            return text in caplog.text

        for said in ("waits: locked", "met a defect"):
            until(partial(said_in, caplog, said))
            redelivery.wake()
        until(lambda: destination.batches)

    def test_outlives_a_batch_that_meets_a_defect(self, connect, clock, caplog):
        class Broken(SqliteStore):
            def settle(self, settlements):
                raise LookupError("a defect")

        broken = connect(Broken)
        fill(broken, 5)
        destination = FakeDestination()
        lane = a_lane(destination, broken, clock, concurrency=1)
        redelivery = Redelivery(lane, broken)
        assert Task(redelivery.step).result(), "no sender may get lost"
        redelivery.join()
        assert len(destination.batches) == 4
        assert caplog.text.count("delivering to crm met a defect") == 4

    def test_hands_back_what_it_has_claimed_when_it_is_stopped(self, store, clock):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()]

        lane = a_lane(destination := FakeDestination(answer=hang), store, clock, concurrency=1)
        redelivery = Redelivery(lane, store)
        fill(store, 4)
        redelivery.start()
        gate.wait_for_somebody()
        redelivery.stop()
        gate.open()
        redelivery.join()
        assert len(destination.batches) == 1
        store.flush()
        rows = store.claim("crm", limit=10, lease_seconds=25)
        assert [row.attempts for row in rows] == [0, 0, 0]

    def test_stopping_what_was_never_started_is_no_fault(self, store, clock):
        redelivery = Redelivery(a_lane(FakeDestination(), store, clock), store)
        redelivery.stop()
        redelivery.join()

    def test_leaves_no_thread_behind(self, store, started):
        before = threading.active_count()
        redelivery = started(destination := FakeDestination())
        fill(store, 3)
        redelivery.wake()
        until(lambda: len(destination.batches) == 3)
        redelivery.stop()
        Task(redelivery.join).join(PATIENCE_SECONDS)
        assert threading.active_count() == before
