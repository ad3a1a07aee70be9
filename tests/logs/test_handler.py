from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap

from segmentstream_api.logs.entries import (
    BREAKER_OPENED,
    DELIVERY_FAILED,
    DELIVERY_REJECTED,
    REQUEST_REJECTED,
)
from segmentstream_api.logs.handler import LimitedHandler
from segmentstream_api.logs.lines import JsonLines


def codes(lines):
    return [(each.get("code"), each.get("suppressed")) for each in lines]


def test_a_flood_of_refused_requests_is_ten_lines_and_a_number_a_minute_later(recorded, clock):
    for _ in range(5000):
        REQUEST_REJECTED(status=401, code="unauthorized")
    assert codes(recorded.lines()) == [("unauthorized", None)] * 10
    clock.advance(60)
    REQUEST_REJECTED(status=401, code="unauthorized")
    told, next_one = recorded.lines()[10:]
    assert told["event"] == "request.rejected"
    assert told["suppressed"] == 4990
    assert "suppressed" not in next_one


def test_each_code_has_its_own_ten(recorded):
    for code in ("unauthorized", "too_large") * 20:
        REQUEST_REJECTED(status=400, code=code)
    assert codes(recorded.lines()) == [("unauthorized", None), ("too_large", None)] * 10


def test_of_a_failing_destination_the_first_failure_is_a_line_and_the_others_a_number(
    recorded, clock
):
    for destination in ("crm", "archive") * 50:
        DELIVERY_FAILED(destination=destination, reason="HTTP 503")
    clock.advance(60)
    BREAKER_OPENED(destination="crm", reason="HTTP 503")
    assert [(each["destination"], each.get("suppressed")) for each in recorded.lines()] == [
        ("crm", None),
        ("archive", None),
        ("crm", 49),
        ("archive", 49),
        ("crm", None),
    ]


def test_reasons_that_differ_do_not_make_a_flood_of_their_own(recorded):
    for number in range(100):
        DELIVERY_REJECTED(destination="crm", reason=f"row {number} is wrong")
    assert len(recorded.lines()) == 10


def test_another_librarys_flood_is_bounded_too(recorded):
    for number in range(100):
        logging.getLogger("theirs").warning("number %d", number)
    recorded.handler.close()
    assert len(recorded.lines()) == 11
    assert recorded.lines()[-1]["suppressed"] == 90


def test_what_was_not_told_yet_is_told_when_the_process_ends(recorded):
    for _ in range(12):
        REQUEST_REJECTED(status=401, code="unauthorized")
    recorded.handler.close()
    assert recorded.lines()[-1]["suppressed"] == 2


def test_a_child_does_not_tell_what_its_parent_suppressed():
    """A process of its own, since this one has threads."""
    script = """
        import os, sys
        from segmentstream_api.logs.entries import REQUEST_REJECTED
        from segmentstream_api.logs.stderr import log_to_stderr

        log_to_stderr("info", {})
        for _ in range(12):
            REQUEST_REJECTED(status=401, code="unauthorized")
        child = os.fork()
        for _ in range(10):
            REQUEST_REJECTED(status=404, code="not_found" if child else "unauthorized")
        if child:
            os.waitpid(child, 0)
        """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(each) for each in done.stderr.splitlines()]
    parent = lines[0]["pid"]
    theirs = [each for each in lines if each["pid"] != parent]
    assert codes(theirs) == [("unauthorized", None)] * 10
    assert codes(lines[-1:]) == [("unauthorized", 2)]
    assert lines[-1]["pid"] == parent


def test_a_line_that_cannot_be_written_hurts_nobody_and_shows_nothing(capsys):
    stream = io.StringIO()
    handler = LimitedHandler(stream)
    handler.setFormatter(JsonLines())
    stream.close()
    raising, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        handler.handle(logging.LogRecord("x", 30, "", 0, "canary", None, None))
    finally:
        logging.raiseExceptions = raising
    assert capsys.readouterr() == ("", "")


def test_every_line_is_one_object(recorded):
    REQUEST_REJECTED(status=400, code="invalid_json")
    assert json.loads(recorded.text)["code"] == "invalid_json"
