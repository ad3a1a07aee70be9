from __future__ import annotations

import json
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest

from segmentstream_api.logs.entries import REQUEST_ANSWERED
from segmentstream_api.server.logger import Logger
from tests.fakes import Clock
from tests.logs.recorded import Recorded, listen

SECRET = "canary-4711"


class Quiet(Logger):
    """Without its set-up, which changes the whole process; the system tests look at that."""

    def __init__(self):
        self.access_log = logging.getLogger(REQUEST_ANSWERED.logger)
        self._access_log_enabled = True


@pytest.fixture
def answered():
    """The line of an answer."""
    recorded = Recorded(Clock())
    stop = listen(recorded, REQUEST_ANSWERED.logger)

    def answered(status="204 No Content", **environ):
        response = SimpleNamespace(status=status, sent=0, headers=[("x-request-id", "r-1")])
        request = SimpleNamespace(headers=[("AUTHORIZATION", SECRET), ("REFERER", SECRET)])
        whole = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/track",
            "QUERY_STRING": f"token={SECRET}",
            "RAW_URI": f"/track?token={SECRET}",
            "HTTP_AUTHORIZATION": f"Basic {SECRET}",
            "HTTP_USER_AGENT": SECRET,
            "REMOTE_ADDR": "203.0.113.77",
            **environ,
        }
        Quiet().access(response, request, whole, timedelta(milliseconds=12.34))
        return recorded.lines()[-1]

    yield answered
    stop()


def test_a_line_tells_method_path_status_bytes_milliseconds_and_the_request(answered):
    line = answered()
    assert {name: line[name] for name in line.keys() - {"time", "pid"}} == {
        "level": "info",
        "event": "request.answered",
        "message": "POST /track 204",
        "method": "POST",
        "path": "/track",
        "status": 204,
        "bytes": 0,
        "milliseconds": 12.3,
        "request_id": "r-1",
    }


def test_it_tells_no_header_no_query_and_no_address(answered):
    shown = json.dumps(answered())
    assert SECRET not in shown
    assert "203.0.113.77" not in shown


def test_a_path_or_a_method_that_a_stranger_made_up_is_not_told(answered):
    line = answered("404 Not Found", PATH_INFO=f"/{SECRET}\n")
    assert line["path"] == "unknown"
    assert answered("405 Method Not Allowed", REQUEST_METHOD="CANARY")["method"] == "other"


@pytest.mark.parametrize("path", ["/v1/projects/{}/settings", "/projects/{}/settings/"])
def test_a_write_key_in_a_path_is_not_told(answered, path):
    line = answered(PATH_INFO=path.format(SECRET), status="200 OK")
    assert line["path"] == path.format("(key)")
    assert SECRET not in json.dumps(line)
