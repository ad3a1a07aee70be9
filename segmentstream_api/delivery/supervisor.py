"""Every lane with its redelivery, and the store's housekeeping: what runs in the background."""

from __future__ import annotations

from segmentstream_api.config import Settings
from segmentstream_api.delivery.housekeeping import Housekeeping
from segmentstream_api.delivery.lane import Lane
from segmentstream_api.delivery.redelivery import Redelivery
from segmentstream_api.delivery.schedule import Schedule
from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import STORE_UNAVAILABLE
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import DestinationState


class DeliverySupervisor:
    """Made before a fork, started after it. `lanes` are by destination name."""

    def __init__(self, settings: Settings, store: Store) -> None:
        delivery = settings.delivery
        schedule = Schedule(retry_for_seconds=delivery.retry_for_seconds, clock=store.now)
        self.lanes = {
            each.name: Lane(
                each.build(),
                store=store,
                schedule=schedule,
                concurrency=each.concurrency,
                most_pushes=delivery.most_waiting_requests,
                push_budget_seconds=delivery.push_budget_seconds,
                rename=each.rename,
                clock=store.now,
            )
            for each in settings.destinations
        }
        self._store = store
        self._redeliveries = {name: Redelivery(lane, store) for name, lane in self.lanes.items()}
        self._housekeeping = Housekeeping(store, list(self.lanes))

    def start(self) -> None:
        """Opens the store and starts the threads, in the process that shall have them.

        A store that cannot be opened now is opened when it can: events get 503 until then.
        """
        try:
            self._store.open()
            self._forget_breakers()
        except SegmentStreamError as error:  # one worker's trouble must not end the others
            STORE_UNAVAILABLE(reason=error)
        self._housekeeping.start()
        for redelivery in self._redeliveries.values():
            redelivery.start()

    def _forget_breakers(self) -> None:
        """One that is noted as open went with its process, of which this may take the place."""
        closed = DestinationState()
        for name, stats in self._store.stats().items():
            if stats.state.breaker != closed.breaker:
                self._store.note(name, closed)

    def wake(self, lane: Lane) -> None:
        """The lane has something due now."""
        self._redeliveries[lane.name].wake()

    def stop(self) -> None:
        """Finishes what is being sent, hands back the rest, and writes it all down."""
        for redelivery in self._redeliveries.values():
            redelivery.stop()
        for redelivery in self._redeliveries.values():
            redelivery.join()
        for lane in self.lanes.values():
            lane.close()
        self._housekeeping.stop()
        self._store.close()
