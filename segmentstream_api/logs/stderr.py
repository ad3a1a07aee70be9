"""The log of a process that serves or delivers. Commands say what they have to say themselves."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

from segmentstream_api.errors import SegmentStreamError
from segmentstream_api.logs.entries import OURS, PROCESS_DEFECT, SERVICE_REFUSED
from segmentstream_api.logs.handler import LimitedHandler
from segmentstream_api.logs.lines import JsonLines, TextLines

FORMAT_VARIABLE = "SEGMENTSTREAM_LOG_FORMAT"
_FORMATS = ("auto", "json", "text")


def log_to_stderr(level: str, environ: Mapping[str, str]) -> None:
    """From now on. A level that does not exist counts as `info`, as it does for gunicorn.

    Other libraries are heard from `warning` on: below it they tell what they send.
    """
    wanted = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    handler = LimitedHandler(sys.stderr)
    handler.setFormatter(formatter(sys.stderr, environ))
    root = logging.getLogger()
    for before in [each for each in root.handlers if isinstance(each, LimitedHandler)]:
        root.removeHandler(before)
        before.close()
    root.addHandler(handler)
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger(OURS).setLevel(wanted)
    logging.captureWarnings(True)  # noqa: FBT003 - the standard library's signature
    logging.raiseExceptions = False  # else a line that cannot be written is shown with its data
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def formatter(stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:
    """Text where people look on, JSON where programs do, unless the environment says which."""
    return TextLines() if for_people(stream, environ) else JsonLines()


def for_people(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether somebody reads the stream as it comes."""
    wanted = environ.get(FORMAT_VARIABLE) or "auto"
    if wanted not in _FORMATS:
        raise SystemExit(f"{FORMAT_VARIABLE} is {wanted!r}; allowed are {', '.join(_FORMATS)}.")
    return stream.isatty() if wanted == "auto" else wanted == "text"


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif isinstance(error, SegmentStreamError):  # its text is ours, and for people
        SERVICE_REFUSED(reason=error)
    else:
        PROCESS_DEFECT(error, place="the main thread")


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    PROCESS_DEFECT(found.exc_value, place=found.thread.name if found.thread else "a thread")


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    PROCESS_DEFECT(found.exc_value, place="what nobody waits for")
