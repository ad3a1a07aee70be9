"""What was settled and noted and no commit has taken along yet. Every store has one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from segmentstream_api.store.records import DestinationState, Settlement

Element = TypeVar("Element")
Taken: TypeAlias = tuple[list[Settlement], list[tuple[str, DestinationState]]]


class PendingSettlements:
    """Anybody may add to it; only who has the turn of writing takes from it."""

    def __init__(self) -> None:
        self._settlements: deque[Settlement] = deque()
        self._states: deque[tuple[str, DestinationState]] = deque()

    def __bool__(self) -> bool:
        return bool(self._settlements or self._states)

    def settle(self, settlements: Iterable[Settlement]) -> None:
        self._settlements.extend(settlements)

    def note(self, destination: str, state: DestinationState) -> None:
        self._states.append((destination, state))

    @contextmanager
    def kept_unless_written(self) -> Iterator[Callable[[], Taken]]:
        """Gives a function that takes all there is by now. If the block fails, it comes back."""
        settlements: list[Settlement] = []
        states: list[tuple[str, DestinationState]] = []

        def take() -> Taken:
            settlements.extend(_take_all(self._settlements))
            states.extend(_take_all(self._states))
            return settlements, states

        try:
            yield take
        except BaseException:
            self._settlements.extendleft(reversed(settlements))
            self._states.extendleft(reversed(states))
            raise


def _take_all(queue: deque[Element]) -> list[Element]:
    """What is in the queue now; what others append meanwhile stays for the next time."""
    return [queue.popleft() for _ in range(len(queue))]
