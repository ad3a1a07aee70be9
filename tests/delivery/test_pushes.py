"""How the intake pushes: every destination at once, one budget, one transaction for many."""

from __future__ import annotations

import threading
import time

import pytest

from segmentstream_api.delivery.lane import Lane
from segmentstream_api.destinations.base import Delivered, Retry
from segmentstream_api.intake.intake import Intake
from tests.fakes import (
    Everything,
    FakeDestination,
    FakeLocalDestination,
    Gate,
    Task,
    a_lane,
    always,
    an_event,
    until,
)


@pytest.fixture
def lanes():
    """Of every intake that the test has made."""
    made: list[Lane] = []
    yield made
    for lane in made:
        lane.close()


@pytest.fixture
def intake_to(store, clock, lanes):
    """An intake in front of these destinations."""

    def intake_to(*destinations, budget_seconds=20.0):
        made = [
            a_lane(
                destination,
                store,
                clock,
                monotonic=time.monotonic,
                push_budget_seconds=budget_seconds,
            )
            for destination in destinations
        ]
        lanes.extend(made)
        return Intake(
            store, Everything(made), push_budget_seconds=budget_seconds, wake=lambda lane: None
        )

    return intake_to


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


def hanging(gate):
    def hang(batch):
        gate.pass_through()
        return [Delivered()] * len(batch)

    return hang


def waiting(store):
    store.flush()
    return {name: stats.waiting for name, stats in store.stats().items()}


def test_destinations_are_tried_side_by_side(intake_to, clock):
    times = []

    def take_50_milliseconds(batch):
        started = time.monotonic()
        threading.Event().wait(0.05)
        times.append((started, time.monotonic()))
        return [Delivered()]

    intake_to(*[FakeDestination(name, take_50_milliseconds) for name in "abc"]).take(an_event())
    assert len(times) == 3
    assert max(start for start, _ in times) < min(end for _, end in times)


def test_a_local_destination_is_served_in_the_requests_thread_while_others_are_at_work(
    intake_to, gate
):
    threads = []

    def local(batch):
        gate.wait_for_somebody()  # the other is at work already
        threads.append(threading.current_thread())
        gate.open()
        return [Delivered()]

    archive, crm = FakeLocalDestination("archive", local), FakeDestination("crm", hanging(gate))
    intake_to(archive, crm).take(an_event())
    assert threads == [threading.current_thread()]


def test_one_that_fails_changes_nothing_for_the_others(intake_to, store):
    failing = FakeDestination("crm", always(Retry("HTTP 503")))
    raising = FakeDestination("erp", lambda batch: 1 // 0)
    intake_to(failing, raising, FakeDestination("web"), FakeLocalDestination("archive")).take(
        an_event()
    )
    assert waiting(store) == {"crm": 1, "erp": 1}


def test_the_budget_is_one_for_all_and_what_is_being_sent_goes_on(intake_to, store, gate):
    destinations = [FakeDestination(name, hanging(gate)) for name in "abcdefgh"]
    intake = intake_to(*destinations, budget_seconds=0.2)
    started = time.monotonic()
    intake.take(an_event())
    assert 0.2 <= time.monotonic() - started < 1.2  # not 8 times 0.2
    assert len(waiting(store)) == 8
    gate.open()
    for destination in destinations:
        while not destination.keys:
            time.sleep(0.001)


def test_one_that_took_the_whole_budget_is_not_waited_for_until_it_is_quick_again(
    intake_to, lanes, store, gate
):
    crm = FakeDestination("crm", hanging(gate))
    intake = intake_to(crm, budget_seconds=0.5)
    intake.take(an_event())
    intake.take(an_event())
    assert len(crm.keys) == 1, "the second was not tried in its request"
    (second,) = store.claim("crm", limit=10, lease_seconds=25)
    gate.open()
    until(lambda: waiting(store) == {"crm": 1})
    (lane,) = lanes
    lane.send([second])
    intake.take(an_event())
    assert len(crm.keys) == 3
    assert waiting(store) == {}


def test_what_arrives_during_a_transaction_shares_the_next_and_one_local_write(
    intake_to, store, gate
):
    batches = []
    accept_all = store.accept_all

    def hold_the_first(events, **more):
        batches.append(len(events))
        if len(batches) == 1:
            gate.pass_through()
        return accept_all(events, **more)

    store.accept_all = hold_the_first
    archive = FakeLocalDestination("archive")
    intake = intake_to(archive)
    tasks = [Task(intake.take, an_event())]
    gate.wait_for_somebody()
    tasks += [Task(intake.take, an_event()) for _ in range(8)]
    queue = vars(vars(intake)["_arrivals"])["_waiting"]
    while len(queue) < 8:
        time.sleep(0.001)
    gate.open()
    for task in tasks:
        task.result()
    assert batches == [1, 8]
    assert sorted(len(batch) for batch in archive.batches) in ([1, 8], [9])


def test_a_local_destination_that_hangs_holds_nobody_but_one(intake_to, store, gate):
    """The disk of the archive hangs, the store's does not: events go on being acknowledged."""
    archive = FakeLocalDestination("archive", hanging(gate))
    intake = intake_to(archive, FakeDestination("crm"), budget_seconds=0.05)
    held = Task(intake.take, an_event())
    gate.wait_for_somebody()
    for _ in range(3):
        intake.take(an_event())
    assert waiting(store)["archive"] == 4
    assert len(archive.batches) == 1
    gate.open()
    held.result()
