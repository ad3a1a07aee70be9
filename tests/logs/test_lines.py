from __future__ import annotations

import json
import logging
import re
import warnings

import pytest

from segmentstream_api.logs.entries import (
    EVENT_CONFLICT,
    REQUEST_DEFECT,
    REQUEST_REJECTED,
    SERVICE_REFUSED,
    request_id,
)
from segmentstream_api.logs.lines import JsonLines, TextLines

SECRET = "canary-4711"
FORGED = 'x\n{"level": "critical"}\u2028\x1b[2J'


class Spilling(Exception):
    """As the errors of many libraries do: it says all it knows."""


def spill():
    raise Spilling(f"DETAIL: row ({SECRET})")


def spilling():
    try:
        spill()
    except Spilling as error:
        raise RuntimeError(f"https://vendor.example/?key={SECRET}") from error


def caught(function=spilling):
    try:
        function()
    except Exception as error:  # noqa: BLE001 - to log it is the test
        return error
    raise AssertionError


def test_a_line_has_the_time_in_utc_the_level_the_event_and_the_process(recorded):
    REQUEST_REJECTED(status=400, code="invalid_event", pointers=["/event/user"])
    (line,) = recorded.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "info",
        "event": "request.rejected",
        "message": "a request was refused: 400 invalid_event",
        "status": 400,
        "code": "invalid_event",
        "pointers": ["/event/user"],
    }


def test_the_time_is_to_the_millisecond():
    record = logging.LogRecord("x", 20, "", 0, "m", None, None)
    for created, shown in ((0.0, "00:00:00.000Z"), (1.9996, "00:00:02.000Z"), (0.1234, "00.123Z")):
        record.created = created
        assert json.loads(JsonLines().format(record))["time"].endswith(shown)


def test_nothing_in_a_line_can_end_it_or_command_a_terminal(recorded):
    EVENT_CONFLICT(project=FORGED)
    assert recorded.text.isascii()
    assert len(recorded.text.splitlines()) == 1
    assert "\x1b" not in recorded.text
    assert recorded.lines()[0]["project"] == FORGED


def test_an_exception_is_its_class_and_place_but_never_its_text(recorded):
    REQUEST_DEFECT(caught(), status=500, code="internal")
    (line,) = recorded.lines()
    assert SECRET not in recorded.text
    assert line["exception"] == "RuntimeError"
    causes = [each for each in line["traceback"] if " " not in each]
    assert causes == ["tests.logs.test_lines.Spilling", "RuntimeError"]
    assert re.fullmatch(r"logs/test_lines\.py:\d+ spilling", line["traceback"][0])


def test_a_chain_of_exceptions_that_ends_in_itself_has_an_end(recorded):
    error = caught()
    assert error.__cause__ is not None
    error.__cause__.__cause__ = error
    REQUEST_DEFECT(error, status=500, code="internal")
    assert len(recorded.lines()) == 1


def test_a_deep_recursion_is_told_by_its_innermost_frames(recorded):
    def deep():
        deep()

    REQUEST_DEFECT(caught(deep), status=500, code="internal")
    (line,) = recorded.lines()
    assert line["exception"] == "RecursionError"
    assert len(line["traceback"]) < 20


@pytest.mark.parametrize("name", ["theirs", "gunicorn.error"])
def test_of_others_neither_an_exceptions_text_nor_what_was_logged_with_it_is_shown(recorded, name):
    try:
        spilling()
    except RuntimeError:
        logging.getLogger(name).exception("Error handling request %s", f"/track?{SECRET}")
    (line,) = recorded.lines()
    assert line["message"] == "Error handling request %s"
    assert line["exception"] == "RuntimeError"
    assert SECRET not in recorded.text


def test_of_others_an_exception_within_the_text_is_its_class(recorded):
    logging.getLogger("gunicorn.error").info("Ignored: %s, %d", caught(), 7)
    logging.getLogger("gunicorn.error").info("%(a)s", {"a": 1})
    logging.getLogger("gunicorn.error").info("100 %")
    told = [each["message"] for each in recorded.lines()]
    assert told == ["Ignored: RuntimeError, 7", "1", "100 %"]


def test_of_others_the_first_line_is_enough(recorded):
    """gunicorn writes whole tracebacks, texts and all, into its messages."""
    logging.getLogger("gunicorn.error").warning("Exception during worker exit:\n%s", SECRET)
    assert recorded.lines()[0]["message"] == "Exception during worker exit:"
    assert SECRET not in recorded.text


def test_gunicorns_lines_and_other_libraries_are_told_apart(recorded):
    logging.getLogger("gunicorn.error").info("Starting")
    logging.getLogger("theirs").info("Hello")
    first, second = recorded.lines()
    assert (first["event"], first["logger"]) == ("server.message", "gunicorn.error")
    assert (second["event"], second["logger"]) == ("library.message", "theirs")


def test_a_line_is_not_longer_than_anybody_reads(recorded):
    REQUEST_REJECTED(status=400, code="x" * 10_000, pointers=["/a" * 5000] * 3)
    SERVICE_REFUSED(reason="y" * 100_000)
    assert max(map(len, recorded.text.splitlines())) < 4096


class TestRequestIds:
    @pytest.fixture
    def request_named(self):
        token = request_id.set("r-1")
        yield
        request_id.reset(token)

    def test_are_in_each_line_about_a_request(self, recorded, request_named):
        REQUEST_REJECTED(status=400, code="invalid_json")
        assert recorded.lines()[0]["request_id"] == "r-1"

    def test_are_in_no_line_that_may_be_about_many(self, recorded, request_named):
        SERVICE_REFUSED(reason="x")
        assert "request_id" not in recorded.lines()[0]

    def test_are_left_out_where_there_is_no_request(self, recorded):
        EVENT_CONFLICT(project="shop")
        assert "request_id" not in recorded.lines()[0]


class TestText:
    def shown(self, entry, *arguments, **fields):
        records = []

        class Handler(logging.Handler):
            def emit(self, record):
                records.append(record)

        handler = Handler()
        logger = logging.getLogger(entry.logger)
        logger.addHandler(handler)
        before = logger.level
        logger.setLevel(logging.DEBUG)
        try:
            entry(*arguments, **fields)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)
        return TextLines().format(*records)

    def test_is_a_sentence_with_the_time_and_the_level(self):
        shown = self.shown(EVENT_CONFLICT, project="shop")
        assert re.fullmatch(
            r"\d\d:\d\d:\d\d warning  project shop: a hit id came again with another body", shown
        )

    def test_says_where_an_event_is_wrong_and_where_a_defect_is(self):
        shown = self.shown(REQUEST_REJECTED, status=400, code="x", pointers=["/event"])
        assert shown.endswith("\n    /event")
        assert "\n    logs/test_lines.py:" in self.shown(REQUEST_DEFECT, caught(), status=500)

    def test_cannot_be_forged(self):
        shown = self.shown(EVENT_CONFLICT, project=FORGED)
        assert "\x1b" not in shown
        assert all(line.startswith("    ") for line in shown.splitlines()[1:])


def test_warnings_of_python_are_lines_too(recorded):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # another test's process may have left it on
        logging.captureWarnings(True)
        try:
            logging.getLogger("py.warnings").addHandler(recorded.handler)
            warnings.warn("old", stacklevel=1)
        finally:
            logging.captureWarnings(False)
            logging.getLogger("py.warnings").removeHandler(recorded.handler)
    assert recorded.lines()[0]["logger"] == "py.warnings"
