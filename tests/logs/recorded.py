"""What a test logs, as lines and not as text."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

from segmentstream_api.contract.schemas import Contract
from segmentstream_api.logs.entries import OURS
from segmentstream_api.logs.handler import LimitedHandler
from segmentstream_api.logs.limit import Limiter
from segmentstream_api.logs.lines import JsonLines


class Recorded:
    """A handler that writes into memory. `clock` is its limiter's."""

    def __init__(self, clock) -> None:
        self._stream = io.StringIO()
        self.handler = LimitedHandler(self._stream, lambda: Limiter(clock))
        self.handler.setFormatter(JsonLines())

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        """Each of them keeps to schemas/log.json."""
        lines = [json.loads(each) for each in self.text.splitlines()]
        for each in lines:
            Contract.load("log.json").check(each)
        return lines


def listen(recorded: Recorded, name: str = OURS, level: int = logging.DEBUG):
    """Until the returned function is called."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(recorded.handler)
    logger.setLevel(level)

    def stop() -> None:
        logger.removeHandler(recorded.handler)
        logger.setLevel(before)

    return stop
