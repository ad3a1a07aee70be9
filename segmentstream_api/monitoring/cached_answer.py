"""The latest answer to a question that may take long, such as one to a store that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class CachedAnswer(Generic[Answer]):
    """Asks anew when the answer is `fresh_seconds` old; any number of threads may want it.

    One thread at a time asks, so a question that hangs holds up no more than that one. `monotonic`
    is a clock in seconds that is never set.
    """

    def __init__(
        self,
        ask: Callable[[], Answer],
        *,
        fresh_seconds: float,
        patience_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._answer: Future[Answer] | None = None
        self._asked_at = self._answered_at = 0.0

    def get(self) -> Answer:
        """What was answered, or raises what was raised instead of an answer.

        Raises TimeoutError if nothing was, `patience_seconds` after it was asked.
        """
        with self._lock:
            now = self._monotonic()
            answer = self._answer
            if answer is None or (answer.done() and now - self._answered_at >= self._fresh_seconds):
                self._asked_at = now
                answer = self._answer = Future()
                threading.Thread(target=self._run, args=(answer,), daemon=True).start()
            left_seconds = max(0.0, self._asked_at + self._patience_seconds - now)
        return answer.result(left_seconds)

    def _run(self, answer: Future[Answer]) -> None:
        try:
            found = self._ask()
        except BaseException as error:  # noqa: BLE001 - raised again for who asks
            self._answered_at = self._monotonic()
            answer.set_exception(error)
        else:
            self._answered_at = self._monotonic()
            answer.set_result(found)
