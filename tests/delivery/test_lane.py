from __future__ import annotations

import threading

import pytest
from prometheus_client import REGISTRY

from segmentstream_api.delivery.lane import LEASE_MARGIN_SECONDS, LOCAL_PATIENCE_SECONDS
from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.store.records import DeadLetterFilter, OutboxRow
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import (
    NOON,
    PATIENCE_SECONDS,
    FakeBatchDestination,
    FakeDestination,
    FakeLocalDestination,
    Gate,
    Task,
    a_lane,
    always,
    an_event,
)

FOREVER = NOON + 1e9  # a deadline


@pytest.fixture
def lane_to(store, clock):
    """Makes lanes that are closed in the end."""
    made = []

    def lane_to(destination, **more):
        made.append(a_lane(destination, store, clock, **more))
        return made[-1]

    yield lane_to
    for lane in made:
        lane.close()


def accept(store, lane, count=1, **more):
    """Rows as the intake has them: accepted and leased to the lane."""
    rows = []
    for _ in range(count):
        event = an_event(**more)
        receipt = store.accept(event, {lane.name: lane.lease_seconds})
        rows.append(
            OutboxRow(
                event_id=receipt.event_id,
                destination=lane.name,
                lease_ms=receipt.leases[lane.name],
                attempts=0,
                received_at=event.received_at,
                key=event.key,
                body=event.body,
            )
        )
    return rows


def keys(rows):
    return [row.key.hex() for row in rows]


def claim(store, clock, after_seconds=0.0):
    """What is due by then, for whoever comes first."""
    store.flush()
    clock.advance(after_seconds)
    return store.claim("crm", limit=1000, lease_seconds=25)


def waiting(store):
    store.flush()
    return store.stats()["crm"].waiting if "crm" in store.stats() else 0


def push(lane, rows, deadline=FOREVER):
    """Pushes as requests do: a reserved place each."""
    for _ in rows:
        assert lane.reserve()
    return [lane.push([row], deadline) for row in rows]


def wait(tickets):
    for ticket in tickets:
        ticket.wait(PATIENCE_SECONDS)
        assert ticket.done


def free_places(lane, at_most=2000):
    """How many more may push; it leaves them free."""
    count = next((taken for taken in range(at_most) if not lane.reserve()), at_most)
    for _ in range(count):
        lane.cancel()
    return count


class TestSending:
    def test_what_is_delivered_waits_no_more(self, store, lane_to):
        lane = lane_to(FakeBatchDestination())
        rows = accept(store, lane, 3)
        lane.send(rows)
        assert lane.destination.batches == [keys(rows)]
        assert waiting(store) == 0

    def test_each_row_gets_its_own_outcome(self, store, clock, lane_to):
        outcomes = [Delivered(), Retry("HTTP 503"), Rejected("HTTP 422")]
        lane = lane_to(FakeBatchDestination(answer=lambda batch: outcomes))
        rows = accept(store, lane, 3)
        lane.send(rows)
        assert [row.key for row in claim(store, clock, 5)] == [rows[1].key]
        (letter,) = store.dead_letters(DeadLetterFilter(), 10)
        assert (letter.event_id, letter.reason) == (rows[2].event_id, "HTTP 422")

    def test_how_long_the_destination_took_for_the_batch_is_measured(self, store, clock, lane_to):
        def answer(batch):
            clock.advance(1.5)
            return [Delivered()] * len(batch)

        def measured(what):
            name = f"segmentstream_delivery_seconds_{what}"
            return REGISTRY.get_sample_value(name, {"destination": "measured"})

        lane = lane_to(FakeBatchDestination("measured", answer))
        lane.send(accept(store, lane, 3))
        assert (measured("count"), measured("sum")) == (1, 1.5)

    def test_every_attempt_carries_the_same_key_and_body(self, store, clock, lane_to):
        got: list[object] = []

        def answer(batch):
            got.extend((delivery.key, delivery.body) for delivery in batch)
            return [Retry("HTTP 503")]

        lane = lane_to(FakeDestination(answer=answer))
        (row,) = accept(store, lane)
        lane.send([row])
        lane.send(claim(store, clock, 5))
        assert got == [(row.key.hex(), row.body)] * 2

    @pytest.mark.parametrize("name", ["crm", "Fake", "FAKE"])
    def test_the_destination_gets_its_options_by_either_name(self, store, lane_to, name):
        got: list[object] = []

        def answer(batch):
            got.extend(delivery.options for delivery in batch)
            return [Delivered()] * len(batch)

        lane = lane_to(FakeBatchDestination(answer=answer))
        rows = accept(store, lane) + accept(store, lane, integrations={name: {"list": 7}})
        lane.send(rows)
        assert got == [{}, {"list": 7}]


class TestADefectiveDestination:
    """Whatever it does, its events are tried again and nobody else notices."""

    def raising(self, batch):
        raise ValueError("secret-canary")

    DEFECTS = {  # noqa: RUF012 - constant
        "too few outcomes": lambda batch: [Delivered()] * (len(batch) - 1),
        "too many outcomes": lambda batch: [Delivered()] * (len(batch) + 1),
        "no outcomes": lambda batch: [],
        "None": lambda batch: None,
        "something else": lambda batch: [True] * len(batch),
        "a number": lambda batch: 7,
        "only some that are outcomes": lambda batch: [Delivered(), *["yes"] * (len(batch) - 1)],
        "one thing too many": lambda batch: [Delivered()] * len(batch) + [None],
    }

    @pytest.mark.parametrize("defect", DEFECTS)
    def test_that_answers_wrongly_is_tried_again(self, store, clock, lane_to, caplog, defect):
        lane = lane_to(FakeBatchDestination(answer=self.DEFECTS[defect]))
        rows = accept(store, lane, 3)
        lane.send(rows)
        assert "destination crm is defective" in caplog.text
        assert [row.attempts for row in claim(store, clock, 5)] == [1, 1, 1]

    def test_that_raises_is_tried_again_and_what_it_said_is_kept_to_itself(
        self, store, clock, lane_to, caplog
    ):
        lane = lane_to(FakeBatchDestination(answer=self.raising))
        lane.send(accept(store, lane, 3))
        assert [row.attempts for row in claim(store, clock, 5)] == [1, 1, 1]
        assert "ValueError" in caplog.text
        assert "ValueError" in store.stats()["crm"].state.last_error
        assert "secret-canary" not in f"{caplog.text} {store.stats()}"

    def test_opens_its_breaker(self, store, lane_to):
        lane = lane_to(FakeBatchDestination(answer=self.raising))
        for row in accept(store, lane, 5):
            lane.send([row])
        assert lane.breaker.is_open

    def test_that_cannot_be_closed_is_no_fault_of_others(self, store, clock, caplog):
        class Unclosable(FakeDestination):
            def close(self):
                raise OSError

        a_lane(Unclosable(), store, clock).close()
        assert "destination crm cannot be closed" in caplog.text


class TestHandingBack:
    """A row that cannot be sent and settled within its lease must not be sent at all."""

    def send_with(self, lane, rows, clock, seconds_left):
        clock.now = rows[0].lease_ms / 1000 - seconds_left
        lane.send(rows)

    def test_a_lease_that_just_lasts_for_an_attempt_and_its_settlement_is_used(
        self, store, clock, lane_to
    ):
        lane = lane_to(FakeDestination(timeout_seconds=10))
        rows = accept(store, lane)
        self.send_with(lane, rows, clock, 10 + LEASE_MARGIN_SECONDS)
        assert lane.destination.keys == keys(rows)

    @pytest.mark.parametrize("seconds_left", [10 + LEASE_MARGIN_SECONDS - 0.01, 10, 5, 0, -100])
    def test_a_lease_that_might_end_before_is_given_up_unsent(
        self, store, clock, lane_to, seconds_left
    ):
        lane = lane_to(FakeDestination(timeout_seconds=10))
        rows = accept(store, lane)
        self.send_with(lane, rows, clock, seconds_left)
        assert lane.destination.batches == []
        (again,) = claim(store, clock)
        assert again.attempts == 0

    def test_one_short_lease_in_a_batch_sends_back_the_batch(self, store, clock, lane_to):
        lane = lane_to(FakeBatchDestination())
        rows = accept(store, lane)
        clock.advance(lane.lease_seconds - 1)
        rows += accept(store, lane)
        lane.send(rows)
        assert lane.destination.batches == []
        assert len(claim(store, clock)) == 2

    def test_a_lease_is_long_enough_for_waiting_as_long_as_an_attempt(self, lane_to):
        lane = lane_to(FakeDestination(timeout_seconds=7))
        assert lane.lease_seconds >= 2 * 7 + LEASE_MARGIN_SECONDS

    def test_nothing_is_sent_once_the_breaker_is_open(self, store, clock, lane_to):
        lane = lane_to(FakeDestination(answer=always(Retry("HTTP 503"))))
        rows = accept(store, lane, 6)
        for row in rows:
            lane.send([row])
        assert lane.destination.keys == keys(rows[:5])
        assert [row.key for row in claim(store, clock)] == [rows[5].key]

    def test_but_a_probe_is(self, store, lane_to):
        lane = lane_to(FakeDestination(answer=always(Retry("HTTP 503"))))
        rows = accept(store, lane, 6)
        for row in rows[:5]:
            lane.send([row])
        lane.destination.answer = always(Delivered())
        lane.send(rows[5:], probe=True)
        assert not lane.breaker.is_open
        assert waiting(store) == 5

    def test_nothing_is_sent_while_the_destination_wants_to_be_left_alone(self, store, lane_to):
        lane = lane_to(FakeDestination(answer=always(Retry("HTTP 429", after_seconds=60))))
        first, second = accept(store, lane, 2)
        lane.send([first])
        lane.send([second])
        assert lane.destination.keys == keys([first])

    def test_nothing_is_sent_once_the_lane_is_closed(self, store, clock, lane_to):
        lane = lane_to(FakeDestination())
        rows = accept(store, lane)
        lane.close()
        lane.send(rows)
        assert lane.destination.batches == []
        assert len(claim(store, clock)) == 1


class TestPlaces:
    """They bound how many requests wait for one destination; none may ever be lost."""

    def test_there_are_as_many_as_configured(self, lane_to):
        lane = lane_to(FakeDestination(), most_pushes=3)
        assert [lane.reserve() for _ in range(4)] == [True, True, True, False]
        lane.cancel()
        assert lane.reserve()

    def test_an_open_breaker_gives_none(self, store, lane_to):
        lane = lane_to(FakeDestination(answer=always(Retry("HTTP 503"))), most_pushes=3)
        for row in accept(store, lane, 5):
            lane.send([row])
        assert not lane.reserve()

    @pytest.mark.parametrize(
        "answer",
        [
            always(Delivered()),
            always(Rejected("HTTP 422")),
            lambda batch: [],
            TestADefectiveDestination().raising,
        ],
    )
    @pytest.mark.parametrize("kind", [FakeDestination, FakeBatchDestination])
    def test_they_are_free_again_after_the_push_whatever_came_of_it(
        self, store, lane_to, answer, kind
    ):
        lane = lane_to(kind(answer=answer), most_pushes=4)
        wait(push(lane, accept(store, lane, 4)))
        assert free_places(lane) == 4

    def test_they_are_free_again_after_pushes_that_were_handed_back(self, store, clock, lane_to):
        lane = lane_to(FakeDestination(), most_pushes=4)
        rows = accept(store, lane, 4)
        clock.advance(lane.lease_seconds)
        wait(push(lane, rows))
        assert lane.destination.batches == []
        assert free_places(lane) == 4

    def test_they_are_free_again_even_if_nothing_can_be_settled(self, connect, clock, caplog):
        class BrokenStore(SqliteStore):
            def settle(self, settlements):
                raise LookupError("a defect")

        store = connect(BrokenStore)
        lane = a_lane(FakeDestination(), store, clock, most_pushes=2)
        wait(push(lane, accept(store, lane, 2)))
        assert free_places(lane) == 2
        assert "delivering to crm met a defect" in caplog.text
        lane.close()

    def test_a_hanging_destination_takes_its_places_and_no_more(self, store, lane_to):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()]

        lane = lane_to(FakeDestination(answer=hang), most_pushes=3, concurrency=1)
        tickets = push(lane, accept(store, lane, 3))
        assert not lane.reserve()
        gate.open()
        wait(tickets)
        assert free_places(lane) == 3


class TestPushing:
    def test_it_does_not_wait_for_a_destination_that_hangs(self, store, lane_to):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()]

        lane = lane_to(FakeDestination(answer=hang))
        (ticket,) = push(lane, accept(store, lane))
        ticket.wait(0.01)
        assert not ticket.done
        gate.open()
        wait([ticket])
        assert waiting(store) == 0

    def test_what_is_pushed_meanwhile_travels_together(self, store, lane_to):
        gate = Gate()

        def hold_the_first(batch):
            if len(lane.destination.batches) == 1:
                gate.pass_through()
            return [Delivered()] * len(batch)

        lane = lane_to(FakeBatchDestination(answer=hold_the_first), concurrency=1)
        rows = accept(store, lane, 6)
        tickets = push(lane, rows[:1])
        gate.wait_for_somebody()
        tickets += push(lane, rows[1:])
        gate.open()
        wait(tickets)
        assert lane.destination.batches == [keys(rows[:1]), keys(rows[1:])]

    def test_batches_run_side_by_side_up_to_the_concurrency(self, store, lane_to):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()]

        lane = lane_to(FakeDestination(answer=hang), concurrency=3)
        tickets = push(lane, accept(store, lane, 5))
        for _ in range(3):
            gate.wait_for_somebody()
        assert len(lane.destination.batches) == 3
        gate.open()
        wait(tickets)
        assert len(lane.destination.batches) == 5

    def test_after_closing_a_push_is_handed_back(self, store, clock, lane_to):
        lane = lane_to(FakeDestination())
        rows = accept(store, lane, 2)
        assert lane.reserve()
        lane.close()
        wait([lane.push(rows[:1], FOREVER)])
        assert lane.destination.batches == []
        assert free_places(lane) == 8
        assert len(claim(store, clock)) == 1

    def test_closing_waits_for_what_is_being_sent_and_hands_back_what_queues(
        self, store, clock, lane_to
    ):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()]

        lane = lane_to(FakeDestination(answer=hang), concurrency=1)
        rows = accept(store, lane, 3)
        tickets = push(lane, rows)
        gate.wait_for_somebody()
        closing = Task(lane.close)
        closing.join(0.05)
        assert closing.is_alive()
        assert lane.destination.closed == 0
        gate.open()
        closing.result()
        wait(tickets)
        assert lane.destination.keys == keys(rows[:1])
        assert lane.destination.closed == 1
        assert [row.key for row in claim(store, clock)] == [row.key for row in rows[1:]]


class TestALocalDestination:
    def test_is_served_in_the_callers_own_thread(self, store, lane_to):
        threads = []

        def answer(batch):
            threads.append(threading.current_thread())
            return [Delivered()] * len(batch)

        lane = lane_to(FakeLocalDestination(answer=answer))
        (ticket,) = push(lane, accept(store, lane))
        assert ticket.done
        assert threads == [threading.current_thread()]
        assert waiting(store) == 0

    def test_has_one_batch_at_a_time_and_redelivery_too(self, lane_to):
        assert lane_to(FakeLocalDestination(), concurrency=4).concurrency == 1

    def test_that_hangs_does_not_hold_a_second_caller_beyond_his_deadline(
        self, store, clock, lane_to
    ):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()] * len(batch)

        lane = lane_to(FakeLocalDestination(answer=hang))
        before = free_places(lane)
        first, second = accept(store, lane, 2)
        pushing = Task(push, lane, [first])
        gate.wait_for_somebody()
        (ticket,) = push(lane, [second], deadline=clock.now + 0.05)
        assert ticket.withdrawn
        assert [row.key for row in claim(store, clock)] == [second.key]
        gate.open()
        wait(pushing.result())
        assert lane.destination.keys == keys([first])
        assert free_places(lane) == before

    def test_that_takes_longer_than_a_disk_may_is_left_to_redelivery(self, store, clock, lane_to):
        gate = Gate()

        def hang(batch):
            gate.pass_through()
            return [Delivered()] * len(batch)

        lane = lane_to(FakeLocalDestination(answer=hang))
        pushing = Task(lane.push, accept(store, lane), FOREVER)
        gate.wait_for_somebody()
        assert lane.reserve()
        clock.advance(LOCAL_PATIENCE_SECONDS)
        assert not lane.reserve()
        gate.open()
        wait([pushing.result()])
        assert lane.reserve()

    def test_gets_together_what_comes_at_the_same_time(self, store, lane_to):
        gate = Gate()

        def hold_the_first(batch):
            if len(lane.destination.batches) == 1:
                gate.pass_through()
            return [Delivered()] * len(batch)

        lane = lane_to(FakeLocalDestination(answer=hold_the_first))
        first, *others = accept(store, lane, 9)
        tasks = [Task(push, lane, [first])]
        gate.wait_for_somebody()
        tasks += [Task(push, lane, [row]) for row in others]
        queue = vars(vars(lane)["_pushes"])["_waiting"]
        while len(queue) < len(others):
            threading.Event().wait(0.001)
        gate.open()
        for task in tasks:
            wait(task.result())
        assert [len(batch) for batch in lane.destination.batches] == [1, 8]
        assert waiting(store) == 0
