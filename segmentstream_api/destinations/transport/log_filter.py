"""Keeps the paths and queries of URLs out of urllib3's log records: they may hold an API key.

urllib3 logs each request line at DEBUG, and the whole URL with a WARNING when an answer's headers
are broken. Hosts, methods and statuses stay readable. Called by `http.py`.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit


class _WithoutPaths(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_harmless(value) for value in record.args)
        record.exc_info = None  # a traceback says what was wrong with the answer, in its words
        return True


_FILTER = _WithoutPaths()


def quieten() -> None:
    """Adding the filter once more changes nothing, so every sender may call this."""
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_FILTER)


def _harmless(value: object) -> object:
    if isinstance(value, Exception):
        return type(value).__name__
    if not isinstance(value, str):
        return value
    if value.startswith("/"):
        return "/…"
    if "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname}/…"
    return value
