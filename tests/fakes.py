"""Small stand-ins for what a test wants to have in its own hands: time, destinations, threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from itertools import count
from typing import Any, ClassVar

from segmentstream_api.delivery.lane import Lane
from segmentstream_api.delivery.schedule import Schedule
from segmentstream_api.destinations.base import Delivered, Delivery, Destination, Outcome
from segmentstream_api.event.event import Event, new_event
from segmentstream_api.intake.routing import Routing
from segmentstream_api.store.base import Store

A_DAY = 86_400.0
NOON = 1_750_000_000.0  # some moment, in Unix seconds
PATIENCE_SECONDS = 20.0  # until a test that waits for a thread gives up; far more than is needed

_numbers = count(1)


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def an_event(hit_id: str | None = None, *, project: str = "shop", at: float = NOON, **more: Any):
    """A small event; without `hit_id` it gets one that no other has."""
    document = {"hitId": hit_id or f"hit-{next(_numbers)}", "event": {"user": {"userId": "u"}}}
    return new_event(project, {**document, **more}, received_at=at)


def an_event_without_hit_id(at: float = NOON) -> Event:
    return new_event("shop", {"event": {"user": {"userId": "u"}}}, received_at=at)


class FakeDestination(Destination):
    """Answers what `answer` says for a batch, and remembers the batches' keys."""

    type_name = "fake"
    display_name = "Fake"
    settings_schema: ClassVar[Mapping[str, Any]] = {"type": "object"}

    def __init__(
        self,
        name: str = "crm",
        answer: Callable[[Sequence[Delivery]], Any] = lambda batch: [Delivered()] * len(batch),
        *,
        timeout_seconds: float = 10.0,
    ) -> None:
        super().__init__(name, {"timeout_seconds": timeout_seconds})
        self.answer = answer
        self.batches: list[list[str]] = []
        self.closed = 0
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """Of everything that was sent, in order."""
        return [key for batch in self.batches for key in batch]

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        with self._lock:
            self.batches.append([delivery.key for delivery in deliveries])
        outcomes: list[Outcome] = self.answer(deliveries)
        return outcomes

    def close(self) -> None:
        self.closed += 1


class FakeBatchDestination(FakeDestination):
    batch_size = 50


class FakeLocalDestination(FakeDestination):
    batch_size = 50
    local = True


def always(outcome: Outcome) -> Callable[[Sequence[Delivery]], list[Outcome]]:
    return lambda batch: [outcome] * len(batch)


class Gate:
    """Holds whoever comes to `pass_through` until it is opened."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self._arrived.release()
        assert self._opened.wait(PATIENCE_SECONDS)

    def wait_for_somebody(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE_SECONDS)

    def open(self) -> None:
        self._opened.set()


class Task(threading.Thread):
    """Runs a function in a thread of its own; `result()` gives what came of it."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._args = args
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._function(*self._args)
        except BaseException as error:  # noqa: BLE001 - raised again for who asks
            self._error = error

    def result(self) -> Any:
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive(), "it hangs"
        if self._error is not None:
            raise self._error
        return self._result


def a_lane(destination: Destination, store: Store, clock: Clock, **more: Any) -> Lane:
    """A lane whose clocks are both `clock` and whose retries have no jitter."""
    schedule = Schedule(retry_for_seconds=3 * A_DAY, clock=clock, uniform=lambda low, high: 1.0)
    given = {
        "concurrency": 2,
        "most_pushes": 8,
        "push_budget_seconds": 2.0,
        "clock": clock,
        "monotonic": clock,
        **more,
    }
    return Lane(destination, store=store, schedule=schedule, **given)


class Everything(Routing):
    """Every event goes to every lane, but for those of the project `nobody`."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes_of_all = lanes

    def lanes(self, event: Event) -> Sequence[Lane]:
        return [] if event.project == "nobody" else self._lanes_of_all


class InThisThread(Executor):
    """Runs what is submitted at once, where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def until(condition: Callable[[], object]) -> None:
    """Waits for what other threads bring about."""
    for _ in range(int(PATIENCE_SECONDS / 0.002)):
        if condition():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it did not come to that")
