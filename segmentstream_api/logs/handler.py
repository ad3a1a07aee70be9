"""Writes lines, but no flood of them: what a limiter holds back is told as a number."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

from segmentstream_api.logs.entries import ENTRY, FIELDS, Entry
from segmentstream_api.logs.limit import WINDOW_SECONDS, Limiter

_FROM_ONE_LIBRARY = 10  # lines of a window
_COUNTED_BY = ("code", "project", "destination")


class Kind(NamedTuple):
    """What lines are counted by: their entry, or else their logger and level."""

    entry: Entry | None
    logger: str
    level: int
    fields: tuple[tuple[str, Any], ...] = ()


class LimitedHandler(logging.StreamHandler[TextIO]):
    """`new_limiter` makes that of a process."""

    def __init__(self, stream: TextIO, new_limiter: Callable[[], Limiter[Kind]] = Limiter) -> None:
        super().__init__(stream)
        self._new_limiter = new_limiter
        self._begin()

    def emit(self, record: logging.LogRecord) -> None:
        if self._pid != os.getpid():  # after a fork, which takes no thread along
            self._begin()
        self._tell(self._limiter.ended())
        kind = _kind(record)
        most = kind.entry.max_per_minute if kind.entry else _FROM_ONE_LIBRARY
        if self._limiter.admits(kind, most):
            super().emit(record)
        elif self._teller is None:
            self._tell_later()

    def close(self) -> None:
        """Tells at the end of the process what was not told yet."""
        self.acquire()
        try:
            if self._teller is not None:
                self._teller.cancel()
            if self._pid == os.getpid():
                self._tell(self._limiter.ended(all_of_them=True))
        finally:
            self.release()
        super().close()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._limiter = self._new_limiter()
        self._teller: threading.Timer | None = None

    def _tell_later(self) -> None:
        """A flood that has ended is told too, though no line comes after it."""
        teller = threading.Timer(WINDOW_SECONDS, self._told_later)
        teller.daemon = True
        with suppress(RuntimeError):  # the machine has no thread to give: the next line tells it
            teller.start()
            self._teller = teller

    def _told_later(self) -> None:
        self.acquire()
        try:
            self._teller = None
            self._tell(self._limiter.ended())
            if self._limiter.holds_back:
                self._tell_later()
        finally:
            self.release()

    def _tell(self, ended: list[tuple[Kind, int]]) -> None:
        for kind, count in ended:
            super().emit(_summary(kind, count))


def _kind(record: logging.LogRecord) -> Kind:
    entry: Entry | None = record.__dict__.get(ENTRY)
    if entry is None:
        return Kind(None, record.name, record.levelno)
    fields = record.__dict__[FIELDS]
    counted_by = tuple((name, fields[name]) for name in _COUNTED_BY if name in fields)
    return Kind(entry, record.name, record.levelno, counted_by)


def _summary(kind: Kind, count: int) -> logging.LogRecord:
    """The line that stands for so many others."""
    told = f"{count} more like this" + "".join(f", {name} {value}" for name, value in kind.fields)
    record = logging.LogRecord(kind.logger, kind.level, "", 0, told, None, None)
    fields = {**dict(kind.fields), "suppressed": count}
    record.__dict__ |= {ENTRY: kind.entry, FIELDS: fields}
    return record
