"""Many callers, one commit: what arrives while a commit runs shares the next one.

Used by the intake (one transaction for many requests, then one write to each local destination)
and by every destination's lane (concurrent pushes travel in one batch). It has no thread of its
own: who comes while nobody commits leads, commits for all that wait, and names the next leader.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ticket(Generic[Item, Result]):
    """One item's place in a coming commit."""

    __slots__ = ("_error", "_gate", "_result", "committed_at", "done", "item", "leads", "withdrawn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.committed_at: float | None = None
        self.done = False
        self.leads = False
        self.withdrawn = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self._result: Result
        self._error: BaseException | None = None

    def wait(self, timeout_seconds: float = threading.TIMEOUT_MAX) -> None:
        """Until it is done, or leads, or the time is over."""
        if self._gate.acquire(timeout=min(max(0.0, timeout_seconds), threading.TIMEOUT_MAX)):
            self._gate.release()

    def result(self) -> Result:
        """What the commit returned for this item, or raises what it raised. Once committed."""
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def committed(self) -> bool:
        return self.committed_at is not None

    def commit(self, result: Result) -> None:
        self._result = result
        self.committed_at = time.monotonic()

    def finish(self) -> None:
        self.done = True
        self._open()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self.finish()

    def lead(self) -> None:
        self.leads = True
        self._open()

    def _open(self) -> None:
        if self._gate.locked():
            self._gate.release()


class GroupCommit(Generic[Item, Result]):
    """`commit(items)` returns one result per item; if it raises, all its items fail with that.

    `then(items, results)` is what a leader does for its batch after the commit, while the next
    leader commits already; nobody waits for it longer than `then_seconds`. It must not raise.

    Either callers `submit`, and one commit runs at a time; or they `join`, and threads of the
    owner `run` as many commits side by side as there are threads.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        batch_size: int,
        then: Callable[[Sequence[Item], Sequence[Result]], None] | None = None,
        then_seconds: float = threading.TIMEOUT_MAX,
    ) -> None:
        self._commit = commit
        self._batch_size = batch_size
        self._then = then
        self._then_seconds = then_seconds
        self._waiting: deque[Ticket[Item, Result]] = deque()
        self._lock = threading.Lock()
        self._led = False

    def submit(self, item: Item, timeout_seconds: float = threading.TIMEOUT_MAX) -> Result:
        """Commits the item with everybody else's and returns its result, or raises its error.

        Raises TimeoutError if no commit has taken it within the timeout; then none ever will.
        """
        ticket = self.enter(item, timeout_seconds)
        if ticket.withdrawn:
            raise TimeoutError
        self._wait(ticket, threading.TIMEOUT_MAX)
        return ticket.result()

    def enter(
        self, item: Item, timeout_seconds: float = threading.TIMEOUT_MAX
    ) -> Ticket[Item, Result]:
        """Like `submit`, but gives up waiting for others after the timeout.

        The ticket is then not done: `withdrawn` if no commit had taken it yet, else on its way.
        """
        ticket: Ticket[Item, Result] = Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
            if not self._led:
                self._led = ticket.leads = True
        try:
            if not ticket.leads:
                self._wait(ticket, timeout_seconds)
        except BaseException:  # Ctrl-C: nobody else may wait for a leader that has left
            self._leave(ticket)
            raise
        if not ticket.committed and not ticket.done:
            self._give_up_unless_leading(ticket)
        if ticket.leads:
            self._lead()
        return ticket

    def join(self, item: Item) -> Ticket[Item, Result]:
        """Queues the item without waiting; somebody's `run` will commit it."""
        ticket: Ticket[Item, Result] = Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
        return ticket

    def run(self) -> None:
        """Commits one batch of what is queued by now, if anything is."""
        with self._lock:
            batch = self._next_batch()
        if batch:
            self._commit_batch(batch)
            self._finish(batch)

    def _wait(self, ticket: Ticket[Item, Result], timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not (ticket.done or ticket.leads):
            if ticket.committed_at is not None:
                deadline = min(deadline, ticket.committed_at + self._then_seconds)
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return
            ticket.wait(min(left_seconds, self._then_seconds))

    def _lead(self) -> None:
        with self._lock:
            batch = self._next_batch()
        try:
            self._commit_batch(batch)
        finally:
            with self._lock:
                self._name_the_next_leader()
        self._finish(batch)

    def _name_the_next_leader(self) -> None:
        if self._waiting:
            self._waiting[0].lead()
        else:
            self._led = False

    def _give_up_unless_leading(self, ticket: Ticket[Item, Result]) -> None:
        with self._lock:
            if not ticket.leads:
                self._withdraw(ticket)

    def _leave(self, ticket: Ticket[Item, Result]) -> None:
        with self._lock:
            self._withdraw(ticket)
            if ticket.leads:
                self._name_the_next_leader()

    def _withdraw(self, ticket: Ticket[Item, Result]) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            ticket.withdrawn = True

    def _next_batch(self) -> list[Ticket[Item, Result]]:
        size = min(self._batch_size, len(self._waiting))
        return [self._waiting.popleft() for _ in range(size)]

    def _commit_batch(self, batch: list[Ticket[Item, Result]]) -> None:
        try:
            results = self._commit([ticket.item for ticket in batch])
            for ticket, result in zip(batch, results, strict=True):
                ticket.commit(result)
        except BaseException as error:
            for ticket in batch:
                if not ticket.committed:
                    ticket.fail(error)
                elif not isinstance(error, Exception):
                    ticket.finish()
            if not isinstance(error, Exception):
                raise  # a worker that is told to stop must not carry on

    def _finish(self, batch: list[Ticket[Item, Result]]) -> None:
        committed = [ticket for ticket in batch if ticket.committed]
        try:
            if self._then is not None and committed:
                items = [ticket.item for ticket in committed]
                self._then(items, [ticket.result() for ticket in committed])
        finally:
            for ticket in committed:
                ticket.finish()
