"""Posts one event after another until each has its final answer. Called by `import`, in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from segmentstream_api.commands.service_client import Service, errors_in, problem_in
from segmentstream_api.destinations.base import Retry
from segmentstream_api.destinations.transport.retry_after import retry_after_seconds
from segmentstream_api.destinations.transport.sender import Answer
from segmentstream_api.errors import CommandError

_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 30.0
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})  # a proxy in front may say the others


@dataclass(frozen=True, slots=True)
class Rejection:
    """The service will never take it; `reasons` are pointer and sentence."""

    reasons: Sequence[tuple[str, str]]


class Posting:
    """`stop` ends the waiting of every thread."""

    def __init__(self, service: Service, stop: threading.Event, *, patience_seconds: float) -> None:
        self.stop = stop
        self._service = service
        self._patience_seconds = patience_seconds

    def post(self, body: bytes) -> Rejection | None:
        """None once it is accepted. Raises CommandError where going on has no use."""
        give_up_at = time.monotonic() + self._patience_seconds
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self.stop.is_set():
            answer = self._service.post(body)
            if isinstance(answer, Answer) and answer.status not in _LATER:
                return self._final(answer)
            wait_seconds = max(pause_seconds, _asked_for(answer))
            if time.monotonic() + wait_seconds > give_up_at:
                reason = answer.reason if isinstance(answer, Retry) else f"HTTP {answer.status}"
                raise CommandError(f"no event is taken at {self._service.url}: {reason}")
            self.stop.wait(wait_seconds)
            pause_seconds = min(pause_seconds * 2, _MAX_PAUSE_SECONDS)
        raise CommandError("interrupted")

    def _final(self, answer: Answer) -> Rejection | None:
        if answer.status == HTTPStatus.NO_CONTENT:
            return None
        problem = problem_in(answer)
        if problem is None:
            raise CommandError(
                f"HTTP {answer.status} at {self._service.url} is no answer of the service"
            )
        if answer.status != HTTPStatus.BAD_REQUEST:
            came_from = (
                f"; the token came from {self._service.token_came_from}"
                if answer.status == HTTPStatus.UNAUTHORIZED
                else ""
            )
            raise CommandError(f"HTTP {answer.status}: {problem.get('title')}{came_from}")
        return Rejection(errors_in(problem) or [("", str(problem.get("detail")))])


def _asked_for(answer: Answer | Retry) -> float:
    if isinstance(answer, Retry):
        return 0.0
    return retry_after_seconds(answer.headers.get("Retry-After"), time.time()) or 0.0
