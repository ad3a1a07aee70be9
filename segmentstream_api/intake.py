"""The path of one accepted event: remember, select, accept, push. Called by the resources."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from segmentstream_api import metrics
from segmentstream_api.delivery.lane import Lane
from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.event import Event
from segmentstream_api.groupcommit import GroupCommit, Ticket
from segmentstream_api.logs.entries import EVENT_CONFLICT
from segmentstream_api.recent import Recent
from segmentstream_api.routing import Routing
from segmentstream_api.store.base import Acceptance, OutboxRow, Receipt, Store

_PATIENCE_SECONDS = 10.0  # a lock is waited for 5 s; longer stand only stopped processes and disks
_MOST_TOGETHER = 256  # requests in one transaction: more than a worker has threads


@dataclass(slots=True)
class _Arrival:
    """An event on its way into the store, and what becomes of its pushes."""

    event: Event
    reserved: Sequence[Lane]
    leases_seconds: Mapping[str, float]
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
    ) -> None:
        self._store = store
        self._routing = routing
        self._push_budget_seconds = push_budget_seconds
        self._wake = wake
        self._patience_seconds = patience_seconds
        self._recent = Recent()
        self._arrivals: GroupCommit[_Arrival, Receipt] = GroupCommit(
            self._accept,
            batch_size=_MOST_TOGETHER,
            then=self._push,
            then_seconds=push_budget_seconds,
        )

    def take(self, event: Event) -> Acceptance:
        """Makes the event safe and tries its destinations; it is safe whatever they answer.

        Raises StoreUnavailable, and then nothing of the event was kept.
        """
        receipt = self._recent.recall(event) or self._arrive(event)
        if receipt.acceptance is Acceptance.CONFLICT:
            EVENT_CONFLICT(project=event.project)
        else:
            self._recent.remember(event)
        metrics.event(receipt.acceptance.value)
        return receipt.acceptance

    def _arrive(self, event: Event) -> Receipt:
        """What cannot be pushed now is due at once in the outbox, in the same transaction."""
        lanes = self._routing.lanes(event)
        reserved = [lane for lane in lanes if lane.reserve()]
        leases = {lane.name: lane.lease_seconds if lane in reserved else 0.0 for lane in lanes}
        arrival = _Arrival(event, reserved, leases, time.monotonic())
        receipt = None
        try:
            receipt = self._commit(arrival)
        except StoreUnavailable:
            known = self._store.recall(event)  # what is safe already need not be written
            if known is None:
                raise
            return known
        finally:
            if receipt is None or receipt.event_id is None:
                for lane in reserved:
                    lane.cancel()
        for lane, pushed in arrival.pushes:
            pushed.wait(arrival.push_deadline - time.monotonic())
            if not pushed.done:
                lane.pace.missed()
        if receipt.event_id is not None:
            for lane in lanes:
                if lane not in reserved:
                    self._wake(lane)
        return receipt

    def _commit(self, arrival: _Arrival) -> Receipt:
        try:
            return self._arrivals.submit(arrival, self._patience_seconds)
        except TimeoutError as error:
            raise StoreUnavailable("a commit before this one does not come to an end") from error

    def _accept(self, arrivals: Sequence[_Arrival]) -> list[Receipt]:
        began = time.monotonic()
        try:
            return self._store.accept_all(
                [(arrival.event, arrival.leases_seconds) for arrival in arrivals],
                waited_seconds=began - min(arrival.arrived_at for arrival in arrivals),
            )
        finally:
            metrics.commit(len(arrivals), time.monotonic() - began)

    def _push(self, arrivals: Sequence[_Arrival], receipts: Sequence[Receipt]) -> None:
        """Starts the pushes of a whole transaction, so that a local destination writes once."""
        deadline = time.monotonic() + self._push_budget_seconds
        local: dict[Lane, list[OutboxRow]] = {}
        for arrival, receipt in zip(arrivals, receipts, strict=True):
            if receipt.event_id is None:
                continue
            arrival.push_deadline = deadline
            for lane in arrival.reserved:
                row = _row(arrival.event, receipt.event_id, lane.name, receipt.leases[lane.name])
                if lane.destination.local:
                    local.setdefault(lane, []).append(row)
                else:
                    arrival.pushes.append((lane, lane.push([row], deadline)))
        for lane, rows in local.items():  # last: they run in this thread, the others meanwhile
            lane.push(rows, deadline)


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
