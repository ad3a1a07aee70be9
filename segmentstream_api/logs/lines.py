"""A log record → one line: JSON as schemas/log.json describes it, or text for a terminal."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from segmentstream_api.logs.entries import (
    ENTRY,
    FIELDS,
    LIBRARY_MESSAGE,
    SERVER_MESSAGE,
    Entry,
)
from segmentstream_api.logs.traces import kind, trace
from segmentstream_api.timestamps import format_instant

_MAX_MESSAGE_CHARACTERS = 2000  # characters: all problems of a configuration, told at once
_MAX_FIELD_CHARACTERS = 300
_MAX_ITEMS = 30


class JsonLines(logging.Formatter):
    """ASCII alone, so that nothing in it can end a line or command a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        event, message, fields = content(record)
        moment = datetime.fromtimestamp(round(record.created, 3), UTC)
        line = {
            "time": format_instant(moment),
            "level": record.levelname.lower(),
            "event": event,
            "message": message[:_MAX_MESSAGE_CHARACTERS],
            **{name: _bounded(value) for name, value in fields.items() if value is not None},
            "pid": record.process,
        }
        return json.dumps(line)


class TextLines(logging.Formatter):
    """The time of day, the level and the sentence."""

    def format(self, record: logging.LogRecord) -> str:
        _, message, fields = content(record)
        head = f"{datetime.fromtimestamp(record.created, UTC).astimezone():%H:%M:%S}"
        more = [*message.splitlines(), *fields.get("pointers", ()), *fields.get("traceback", ())]
        text = "\n    ".join(map(_printable, more))
        return f"{head} {record.levelname.lower():8} {text}"


def content(record: logging.LogRecord) -> tuple[str, str, dict[str, Any]]:
    """Event, message and fields. Of others only the first line, and no text of an exception."""
    entry: Entry | None = record.__dict__.get(ENTRY)
    if entry is not None:
        return entry.event, record.getMessage(), record.__dict__[FIELDS]
    event = SERVER_MESSAGE if record.name.startswith("gunicorn.") else LIBRARY_MESSAGE
    fields: dict[str, Any] = {"logger": record.name, **record.__dict__.get(FIELDS, {})}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields |= {"exception": kind(error), "traceback": trace(error)}
    # What is logged with an exception often quotes it, or the request that it happened to.
    message = _message(record) if error is None else str(record.msg)
    return event, message.partition("\n")[0], fields


def _message(record: logging.LogRecord) -> str:
    """With the classes of exceptions: gunicorn's hold the bytes that a client has sent."""
    if not isinstance(record.args, tuple):
        return record.getMessage()
    harmless = (kind(each) if isinstance(each, BaseException) else each for each in record.args)
    return str(record.msg) % tuple(harmless) if record.args else str(record.msg)


def _bounded(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_bounded(each) for each in value[:_MAX_ITEMS]]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:_MAX_FIELD_CHARACTERS]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
