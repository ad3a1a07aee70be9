"""What a push left behind is sent again, until it is delivered or given up.

One thread for each destination in every worker, and in `segmentstream-api deliver`; leases make
any number of them safe together.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from segmentstream_api.delivery.breaker import Permit
from segmentstream_api.delivery.lane import Lane
from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import DELIVERY_DEFECT, REDELIVERY_POSTPONED
from segmentstream_api.store.base import Store
from segmentstream_api.store.records import OutboxRow

IDLE_SECONDS = 1.0
_MAX_CLAIMED = 500
_ROUNDS_CLAIMED = 4  # how often each sender is filled by one claim: a claim costs a commit


class Redelivery:
    """Sends one lane's backlog, several batches side by side, in threads of `senders`."""

    def __init__(self, lane: Lane, store: Store, *, senders: Executor | None = None) -> None:
        self._lane = lane
        self._store = store
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._slots = threading.Semaphore(lane.concurrency)
        self._senders = senders or ThreadPoolExecutor(
            lane.concurrency, thread_name_prefix=f"redeliver-{lane.name}"
        )
        self._thread = threading.Thread(
            target=self._run, name=f"redelivery-{lane.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something due now. While the destination fails, the probes find it anyway."""
        if self._lane.breaker.admits:
            self._wake.set()

    def stop(self) -> None:
        """Asks it to end; `join` waits until it has."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        if self._thread.is_alive():
            self._thread.join()
        self._senders.shutdown(wait=True)

    def step(self) -> bool:
        """Claims once and hands everything claimed to the senders; False if there was nothing."""
        permit = self._lane.breaker.permit()
        if permit is Permit.NOTHING:
            return False
        probe = permit is Permit.PROBE
        batch_size = self._lane.destination.batch_size
        most = min(_MAX_CLAIMED, batch_size * self._lane.concurrency * _ROUNDS_CLAIMED)
        rows = self._store.claim(
            self._lane.name,
            limit=1 if probe else most,
            lease_seconds=self._lane.lease_seconds,
            probe=probe,
        )
        for batch in _batches(rows, batch_size):
            self._slots.acquire()
            self._senders.submit(self._send, batch, probe=probe)
        return bool(rows)

    def _send(self, batch: Sequence[OutboxRow], *, probe: bool) -> None:
        try:
            if self._stopping.is_set():
                self._lane.hand_back(batch)
            else:
                self._lane.send(batch, probe=probe)
        except Exception as error:  # noqa: BLE001 - it must not end the others; its lease runs out
            DELIVERY_DEFECT(error, destination=self._lane.name)
        finally:
            self._slots.release()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self.step()
            except SegmentStreamError as error:
                REDELIVERY_POSTPONED(destination=self._lane.name, reason=error)
                busy = False
            except Exception as error:  # noqa: BLE001 - the loop must live on, whatever one round met
                DELIVERY_DEFECT(error, destination=self._lane.name)
                busy = False
            if not busy:
                self._wake.wait(IDLE_SECONDS)


def _batches(rows: Sequence[OutboxRow], batch_size: int) -> Iterator[Sequence[OutboxRow]]:
    """Fresh ones together; one that failed before goes alone, lest it fail its neighbours again."""
    fresh = [row for row in rows if not row.attempts]
    yield from ([row] for row in rows if row.attempts)
    for start in range(0, len(fresh), batch_size):
        yield fresh[start : start + batch_size]
