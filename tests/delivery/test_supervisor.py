from __future__ import annotations

import time
from pathlib import Path

import pytest

from segmentstream_api.config import (
    DeliverySettings,
    DestinationSettings,
    EventSelection,
    Settings,
    StoreSettings,
)
from segmentstream_api.delivery.supervisor import DeliverySupervisor
from segmentstream_api.destinations.base import Delivered
from segmentstream_api.errors import StoreUnavailable, StoreUnusable
from segmentstream_api.store.records import DestinationState
from segmentstream_api.store.sqlite.store import SqliteStore
from tests.fakes import FakeDestination, Gate, an_event, until


class Configurable(FakeDestination):
    """Made as the configuration makes it; remembers all that were made."""

    made: list[Configurable] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, name, settings):
        super().__init__(name, settings.get("answer") or (lambda batch: [Delivered()] * len(batch)))
        self.made.append(self)


@pytest.fixture
def clock():
    """The real one: the lanes are made by the configuration and have no other."""
    return time.time


@pytest.fixture(autouse=True)
def made():
    Configurable.made.clear()
    return Configurable.made


def settings(tmp_path, **answers):
    return Settings(
        source=Path("segmentstream.toml"),
        store=StoreSettings(tmp_path / "store.db", 86_400, 0),
        delivery=DeliverySettings(2.0, 86_400, 86_400, most_waiting_requests=8),
        projects=(),
        destinations=tuple(
            DestinationSettings(name, Configurable, {"answer": answer}, EventSelection(), {}, 2)
            for name, answer in answers.items()
        ),
    )


class Flaky(SqliteStore):
    """Raises `error` the first time it is opened."""

    error: Exception | None = None

    def open(self):
        error, Flaky.error = Flaky.error, None
        if error is not None:
            raise error
        super().open()


def test_each_destination_has_a_lane_by_its_name(tmp_path, store):
    deliveries = DeliverySupervisor(settings(tmp_path, crm=None, archive=None), store)
    assert list(deliveries.lanes) == ["crm", "archive"]
    assert {lane.name for lane in deliveries.lanes.values()} == {"crm", "archive"}
    deliveries.stop()


def test_once_started_it_sends_what_waits_and_what_it_is_woken_for(tmp_path, store, made):
    store.accept(an_event(), {"crm": 0})
    deliveries = DeliverySupervisor(settings(tmp_path, crm=None, archive=None), store)
    deliveries.start()
    crm, archive = made
    until(lambda: len(crm.batches) == 1)
    store.accept(an_event(), {"archive": 0})
    deliveries.wake(deliveries.lanes["archive"])
    until(lambda: len(archive.batches) == 1)
    deliveries.stop()


def test_breakers_that_were_open_in_a_process_before_it_are_closed(tmp_path, store, connect):
    """Else `status` and the alerts would tell of an outage for as long as the service runs."""
    store.note("crm", DestinationState("open", 1.0, "HTTP 503", 2.0))
    store.flush()
    deliveries = DeliverySupervisor(settings(tmp_path, crm=None), store)
    deliveries.start()
    deliveries.stop()
    assert connect().stats()["crm"].state == DestinationState("closed", None, "HTTP 503", 2.0)


def test_stopping_finishes_what_is_being_sent_and_writes_it_down(tmp_path, store, connect, made):
    gate = Gate()

    def hang(batch):
        gate.pass_through()
        return [Delivered()]

    store.accept(an_event(), {"crm": 0})
    deliveries = DeliverySupervisor(settings(tmp_path, crm=hang), store)
    deliveries.start()
    gate.wait_for_somebody()
    gate.open()
    deliveries.stop()
    assert connect().stats() == {}
    assert [destination.closed for destination in made] == [1]


@pytest.mark.parametrize(
    "error", [StoreUnavailable("locked"), StoreUnusable("store.db", "is gone")], ids=type
)
def test_a_store_that_cannot_be_opened_yet_does_not_keep_it_from_starting(
    tmp_path, connect, made, caplog, error
):
    store = connect(Flaky)
    store.accept(an_event(), {"crm": 0})
    store.close()
    Flaky.error = error
    deliveries = DeliverySupervisor(settings(tmp_path, crm=None), store)
    deliveries.start()
    assert f"the store cannot take events: {error}" in caplog.text
    until(lambda: len(made[0].batches) == 1)
    deliveries.stop()


def test_stopping_what_was_never_started_is_no_fault(tmp_path, store):
    DeliverySupervisor(settings(tmp_path, crm=None), store).stop()
