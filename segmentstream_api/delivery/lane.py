"""Everything that goes to one destination goes through its lane: pushes and redeliveries.

The lane keeps a destination from hurting anybody else: it bounds how many requests' deliveries
are in it, it runs what crosses a network in threads of its own, its breaker stops both when the
destination fails, and its pace lets no request wait for one that is too slow. Whoever sends also
settles, so a request may stop waiting at any time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from segmentstream_api.delivery.breaker import Breaker
from segmentstream_api.delivery.pace import Pace
from segmentstream_api.delivery.recorder import OutcomeRecorder
from segmentstream_api.delivery.schedule import Schedule
from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Retry
from segmentstream_api.event.integrations import Names
from segmentstream_api.group_commit import GroupCommit, Ticket
from segmentstream_api.logs.entries import (
    DELIVERY_DEFECT,
    DESTINATION_CLOSE_FAILED,
    DESTINATION_CONTRACT_BROKEN,
)
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import OutboxRow

LEASE_MARGIN_SECONDS = 5.0  # for settling: the settlement waits for a commit, the commit for a lock
LOCAL_PATIENCE_SECONDS = 1.0  # a disk that takes longer is in trouble: its events wait elsewhere
_MAX_PUSHES_TOGETHER = 256  # of a local destination; more than a worker has threads


class Lane:
    """See the module. `most_pushes` bounds the deliveries of requests that are in the lane.

    `clock` is the wall clock in Unix seconds, `monotonic` one that is never set.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        store: Store,
        schedule: Schedule,
        concurrency: int,
        most_pushes: int,
        push_budget_seconds: float,
        rename: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        local = destination.local
        self.destination = destination
        self.name = destination.name
        self.names = Names(destination.name, destination.display_name)
        self.breaker = Breaker(monotonic)
        self.pace = Pace(destination.name, push_budget_seconds)
        self.concurrency = 1 if local else concurrency
        self.lease_seconds = 2 * destination.timeout_seconds + LEASE_MARGIN_SECONDS
        self._store = store
        self._schedule = schedule
        self._rename = rename or {}
        self._clock = clock
        self._monotonic = monotonic
        self._watch = OutcomeRecorder(self.name, self.breaker, store, clock)
        self._pushes: GroupCommit[Sequence[OutboxRow], None] = GroupCommit(
            self._send_pushed,
            batch_size=_MAX_PUSHES_TOGETHER if local else destination.batch_size,
        )
        self._places = threading.BoundedSemaphore(most_pushes)
        self._sending_since: float | None = None
        self._senders = ThreadPoolExecutor(concurrency, thread_name_prefix=f"push-{self.name}")
        self._closing = False

    def reserve(self) -> bool:
        """Whether a request may push now; True takes a place, which its push gives back.

        Those who wait for a local destination are no more than the worker's threads; it gives no
        place while one send takes too long.
        """
        if not self.breaker.admits:
            return False
        if self.destination.local:
            since = self._sending_since
            return since is None or self._monotonic() - since < LOCAL_PATIENCE_SECONDS
        return self.pace.keeps_up and self._places.acquire(blocking=False)

    def cancel(self) -> None:
        """Gives back a place that was reserved for a push that will not come."""
        if not self.destination.local:
            self._places.release()

    def push(self, rows: Sequence[OutboxRow], deadline: float) -> Ticket[Sequence[OutboxRow], None]:
        """Sends the rows, which have one reserved place; wait for the ticket to have them sent.

        A local destination is served in this thread, with all the rows that its callers have by
        then, unless others hold it up until `deadline` (monotonic seconds). Any other makes
        its batches of what queues.
        """
        if not self.destination.local:
            ticket = self._pushes.join(rows)
            try:
                self._senders.submit(self._pushes.run)
            except RuntimeError:  # closed meanwhile, or the machine has no thread to give
                self._pushes.run()
            return ticket
        ticket = self._pushes.enter(rows, deadline - self._monotonic())
        if ticket.withdrawn:
            self.hand_back(rows)
        return ticket

    def send(self, rows: Sequence[OutboxRow], *, probe: bool = False) -> None:
        """Sends leased rows as one batch and settles each of them.

        They go back unsent if the destination has failed since they were leased (but a `probe`
        finds out), and if their lease might end before the attempt is settled: whoever leases
        them next would send them a second time.
        """
        longest_seconds = self.destination.timeout_seconds + LEASE_MARGIN_SECONDS
        settled_ms = (self._clock() + longest_seconds) * 1000
        in_time = all(row.lease_ms >= settled_ms for row in rows)
        if self._closing or not in_time or not (probe or self.breaker.admits):
            self.hand_back(rows)
            return
        began = self._monotonic()
        outcomes = self._outcomes(rows)
        seconds = self._monotonic() - began
        self.pace.took(seconds)
        self._watch.took(seconds)
        self._store.settle(map(self._schedule.settlement, rows, outcomes))
        self._watch.outcomes(outcomes)

    def hand_back(self, rows: Sequence[OutboxRow]) -> None:
        """Gives up the leases without an attempt; the rows are due at once."""
        self._store.settle(map(self._schedule.handed_back, rows))

    def close(self) -> None:
        """Waits for what is being sent and hands back what still queues."""
        self._closing = True
        self._senders.shutdown(wait=True)
        try:
            self.destination.close()
        except Exception as error:  # noqa: BLE001 - a destination's defect must not reach anybody else
            DESTINATION_CLOSE_FAILED(error, destination=self.name)

    def _send_pushed(self, pushes: Sequence[Sequence[OutboxRow]]) -> list[None]:
        rows = [row for push in pushes for row in push]
        size = self.destination.batch_size
        self._sending_since = self._monotonic()
        try:
            for start in range(0, len(rows), size):
                self.send(rows[start : start + size])
        except Exception as error:  # noqa: BLE001 - nobody waits for more than the end; leases run out
            DELIVERY_DEFECT(error, destination=self.name)
        finally:
            self._sending_since = None
            for _ in pushes:
                self.cancel()
        return [None] * len(pushes)

    def _outcomes(self, rows: Sequence[OutboxRow]) -> Sequence[Outcome]:
        raised: Exception | None = None
        try:
            outcomes = self.destination.send([self._delivery(row) for row in rows])
            answers = sum(isinstance(each, Outcome) for each in outcomes)
            if answers == len(outcomes) == len(rows):
                return outcomes
            defect = f"{answers} outcomes for {len(rows)} deliveries"
        except Exception as error:  # noqa: BLE001 - a destination's defect must not reach anybody else
            raised, defect = error, type(error).__name__  # its text may hold a secret
        DESTINATION_CONTRACT_BROKEN(raised, destination=self.name, reason=defect)
        return [Retry(f"defect of the destination: {defect}")] * len(rows)

    def _delivery(self, row: OutboxRow) -> Delivery:
        plain = Delivery(row.key.hex(), row.body, rename=self._rename)
        if b'"integrations":' not in row.body:
            return plain  # the usual case needs no parsing
        options = self.names.options(plain.document)
        return Delivery(plain.key, plain.body, options, self._rename)
