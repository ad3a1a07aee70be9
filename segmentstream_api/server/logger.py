"""gunicorn's logger: its lines are like ours. Used by `gunicorn.conf.py`."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from gunicorn import glogging

from segmentstream_api.logs.entries import REQUEST_ANSWERED
from segmentstream_api.logs.lines import JsonLines
from segmentstream_api.logs.stderr import formatter, log_to_stderr

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_NOT_FOUND = "404"
_KEY_IN_PATH = re.compile(r"(?<=/projects/)[^/]*(?=/settings)")
"""Where SDKs that fetch their settings put their write key."""


class Logger(glogging.Logger):
    """Sets our own log up as well: it is the first thing that gunicorn makes."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        # Below it gunicorn tells paths and, of broken requests, the bytes.
        self.error_log.setLevel(max(self.loglevel, logging.INFO))
        log_to_stderr(cfg.loglevel, os.environ)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            if isinstance(handler, logging.StreamHandler):
                handler.setFormatter(formatter(handler.stream, os.environ))
            else:  # syslog's
                handler.setFormatter(JsonLines())

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """One line for an answer, without what strangers make up: no header, no query.

        And no address: behind a proxy it is the proxy's, else it is personal.
        """
        if not self.access_log_enabled:
            return
        headers = {name.lower(): value for name, value in resp.headers}
        method, status = environ.get("REQUEST_METHOD"), str(resp.status).partition(" ")[0]
        REQUEST_ANSWERED(
            method=method if method in _METHODS else "other",
            path=_logged(environ.get("PATH_INFO", "")) if status != _NOT_FOUND else "unknown",
            status=int(status),
            bytes=resp.sent,
            milliseconds=round(request_time.total_seconds() * 1000, 1),
            request_id=headers.get("x-request-id"),
        )


def _logged(path: str) -> str:
    return _KEY_IN_PATH.sub("(key)", path)
