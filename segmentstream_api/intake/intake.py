"""The path of one accepted event: remember, select, accept, push. Called by the resources."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from segmentstream_api.delivery.lane import Lane
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.event.event import Event
from segmentstream_api.group_commit import GroupCommit, Ticket
from segmentstream_api.intake.recent_hits import RecentHits
from segmentstream_api.intake.routing import Routing
from segmentstream_api.logs.entries import EVENT_CONFLICT
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import Acceptance, OutboxRow, Receipt

_PATIENCE_SECONDS = 10.0  # a lock is waited for 5 s; longer stand only stopped processes and disks
_MAX_TOGETHER = 256  # requests in one transaction: more than a worker has threads


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a lane for one push, and the positions of the events that it is for."""

    lane: Lane
    positions: Sequence[int]

    def rows(self, events: Sequence[Event], receipts: Sequence[Receipt]) -> list[OutboxRow]:
        """What is to be pushed: what the store has not seen before."""
        name = self.lane.name
        return [
            _row(event, receipt.event_id, name, receipt.leases[name])
            for event, receipt in ((events[each], receipts[each]) for each in self.positions)
            if receipt.event_id is not None
        ]


@dataclass(slots=True)
class _Arrival:
    """The events of one request on their way into the store, and what becomes of their pushes."""

    events: Sequence[Event]
    places: Sequence[_Place]
    leases_seconds: Sequence[Mapping[str, float]]
    """Of each event, by destination."""

    arrived_at: float
    push_deadline: float = 0.0
    pushes: list[tuple[Lane, Ticket[Sequence[OutboxRow], None]]] = field(default_factory=list)


class Intake:
    """Events that arrive while others are being stored share the next transaction.

    `wake` says that a lane has something due.
    """

    def __init__(
        self,
        store: Store,
        routing: Routing,
        *,
        push_budget_seconds: float,
        wake: Callable[[Lane], None],
        patience_seconds: float = _PATIENCE_SECONDS,
        recent_hits: RecentHits | None = None,
    ) -> None:
        self._store = store
        self._routing = routing
        self._push_budget_seconds = push_budget_seconds
        self._wake = wake
        self._patience_seconds = patience_seconds
        self._recent = recent_hits or RecentHits()
        self._arrivals: GroupCommit[_Arrival, Sequence[Receipt]] = GroupCommit(
            self._accept,
            batch_size=_MAX_TOGETHER,
            then=self._push,
            then_seconds=push_budget_seconds,
        )

    def take(self, event: Event) -> Acceptance:
        """Makes the event safe and tries its destinations; it is safe whatever they answer.

        Raises StoreUnavailable, and then nothing of the event was kept.
        """
        (acceptance,) = self.take_all((event,))
        return acceptance

    def take_all(self, events: Sequence[Event]) -> list[Acceptance]:
        """Makes all of the events safe in one transaction, as `take` does with one.

        Raises StoreUnavailable, and then nothing of them was kept that was not safe before.
        """
        receipts = [self._recent.recall(event) for event in events]
        unknown = [event for event, known in zip(events, receipts, strict=True) if known is None]
        stored = self._arrive(unknown) if unknown else ()
        for event, receipt in zip(unknown, stored, strict=True):
            if receipt.acceptance is Acceptance.NEW:
                self._recent.remember(event)
        arrived = iter(stored)
        return [
            self._acceptance(event, next(arrived) if known is None else known)
            for event, known in zip(events, receipts, strict=True)
        ]

    def _acceptance(self, event: Event, receipt: Receipt) -> Acceptance:
        if receipt.acceptance is Acceptance.CONFLICT:
            EVENT_CONFLICT(project=event.project)
        metrics.event(receipt.acceptance.value)
        return receipt.acceptance

    def _arrive(self, events: Sequence[Event]) -> Sequence[Receipt]:
        """What cannot be pushed now is due at once in the outbox, in the same transaction."""
        lanes = [self._routing.lanes(event) for event in events]
        places = _reserved(lanes)
        leases = [dict.fromkeys((lane.name for lane in each), 0.0) for each in lanes]
        for place in places:
            for position in place.positions:
                leases[position][place.lane.name] = place.lane.lease_seconds
        arrival = _Arrival(events, places, leases, time.monotonic())
        receipts: Sequence[Receipt] | None = None
        try:
            receipts = self._commit(arrival)
        except StoreUnavailable:
            known = [self._store.recall(event) for event in events]
            safe = [receipt for receipt in known if receipt is not None]
            if len(safe) < len(events):
                raise
            return safe  # what is safe already need not be written
        finally:
            for place in places:
                if receipts is None or not place.rows(events, receipts):
                    place.lane.cancel()
        self._wait_for_pushes(arrival)
        for lane in _waiting(lanes, leases, receipts):
            self._wake(lane)
        return receipts

    def _wait_for_pushes(self, arrival: _Arrival) -> None:
        for lane, pushed in arrival.pushes:
            pushed.wait(arrival.push_deadline - time.monotonic())
            if not pushed.done:
                lane.pace.missed()

    def _commit(self, arrival: _Arrival) -> Sequence[Receipt]:
        try:
            return self._arrivals.submit(arrival, self._patience_seconds)
        except TimeoutError as error:
            raise StoreUnavailable("a commit before this one does not come to an end") from error

    def _accept(self, arrivals: Sequence[_Arrival]) -> list[Sequence[Receipt]]:
        began = time.monotonic()
        events = [
            pair
            for arrival in arrivals
            for pair in zip(arrival.events, arrival.leases_seconds, strict=True)
        ]
        try:
            receipts = iter(
                self._store.accept_all(
                    events, waited_seconds=began - min(arrival.arrived_at for arrival in arrivals)
                )
            )
            return [list(islice(receipts, len(arrival.events))) for arrival in arrivals]
        finally:
            metrics.commit(len(events), time.monotonic() - began)

    def _push(self, arrivals: Sequence[_Arrival], receipts: Sequence[Sequence[Receipt]]) -> None:
        """Starts the pushes of a whole transaction, so that a local destination writes once."""
        deadline = time.monotonic() + self._push_budget_seconds
        local: dict[Lane, list[OutboxRow]] = {}
        for arrival, its_receipts in zip(arrivals, receipts, strict=True):
            arrival.push_deadline = deadline
            for place in arrival.places:
                lane, rows = place.lane, place.rows(arrival.events, its_receipts)
                if rows and lane.destination.local:
                    local.setdefault(lane, []).extend(rows)
                elif rows:
                    arrival.pushes.append((lane, lane.push(rows, deadline)))
        for lane, rows in local.items():  # last: they run in this thread, the others meanwhile
            lane.push(rows, deadline)


def _reserved(lanes: Sequence[Sequence[Lane]]) -> list[_Place]:
    """Places for the events of a request; each is for as many as the destination takes at once.

    `lanes` are those of each event.
    """
    positions: dict[Lane, list[int]] = {}
    for position, lanes_of_event in enumerate(lanes):
        for lane in lanes_of_event:
            positions.setdefault(lane, []).append(position)
    places = []
    for lane, wanted in positions.items():
        size = len(wanted) if lane.destination.local else lane.destination.batch_size
        for start in range(0, len(wanted), size):
            if not lane.reserve():
                break
            places.append(_Place(lane, wanted[start : start + size]))
    return places


def _waiting(
    lanes: Sequence[Sequence[Lane]],
    leases: Sequence[Mapping[str, float]],
    receipts: Sequence[Receipt],
) -> set[Lane]:
    """The lanes that have something due now, since there was no place for it."""
    return {
        lane
        for of_event, leases_seconds, receipt in zip(lanes, leases, receipts, strict=True)
        if receipt.event_id is not None
        for lane in of_event
        if leases_seconds[lane.name] == 0
    }


def _row(event: Event, event_id: int, destination: str, lease_ms: int) -> OutboxRow:
    return OutboxRow(
        event_id=event_id,
        destination=destination,
        lease_ms=lease_ms,
        attempts=0,
        received_at=event.received_at,
        key=event.key,
        body=event.body,
    )
