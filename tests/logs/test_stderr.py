"""The set-up changes a whole process, so each test has one of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap

import pytest

from segmentstream_api.logs.lines import JsonLines, TextLines
from segmentstream_api.logs.stderr import for_people, formatter

PRELUDE = """
import logging, sys, threading, warnings
from segmentstream_api.errors import ConfigError, Problem
from segmentstream_api.logs.entries import *
from segmentstream_api.logs.stderr import log_to_stderr
log_to_stderr("info", {})
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines_of(script, code=0):
    """What a process that runs the script writes to standard error; all of it is lines."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return [json.loads(each) for each in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("wanted", "stream", "kind"),
    [
        ("", Terminal(), TextLines),
        ("auto", Terminal(), TextLines),
        ("auto", io.StringIO(), JsonLines),
        ("json", Terminal(), JsonLines),
        ("text", io.StringIO(), TextLines),
    ],
)
def test_text_is_for_terminals_and_json_for_programs_unless_told_otherwise(wanted, stream, kind):
    assert isinstance(formatter(stream, {"SEGMENTSTREAM_LOG_FORMAT": wanted}), kind)


def test_a_format_that_does_not_exist_ends_the_start_with_a_sentence():
    with pytest.raises(SystemExit, match="'xml'; allowed are auto, json, text"):
        for_people(io.StringIO(), {"SEGMENTSTREAM_LOG_FORMAT": "xml"})


def test_other_libraries_are_heard_from_warning_on():
    (line,) = lines_of("""
        log_to_stderr("debug", {})
        logging.getLogger("urllib3").debug("POST /?key=canary")
        logging.getLogger("urllib3").info("canary")
        logging.getLogger("urllib3").warning("it is full")
        """)
    assert (line["event"], line["message"]) == ("library.message", "it is full")


def test_a_level_silences_what_is_below_it():
    lines = lines_of("""
        log_to_stderr("error", {})
        CLOCK_SET_BACK(count=1)
        logging.getLogger("urllib3").warning("it is full")
        STORE_UNAVAILABLE(reason="locked")
        """)
    assert [each["event"] for each in lines] == ["store.unavailable"]


def test_setting_up_twice_writes_every_line_once():
    assert len(lines_of("log_to_stderr('info', {}); STORE_UNAVAILABLE(reason='locked')")) == 1


@pytest.mark.parametrize(
    ("script", "place", "code"),
    [
        ("raise ValueError('canary')", "the main thread", 1),
        (
            """
            def work():
                raise ValueError("canary")
            threading.Thread(target=work, name="worker").start()
            """,
            "worker",
            0,
        ),
        (
            """
            class Closing:
                def __del__(self):
                    raise ValueError("canary")
            Closing()
            """,
            "what nobody waits for",
            0,
        ),
    ],
)
def test_what_nobody_caught_is_a_line_without_its_text(script, place, code):
    (line,) = lines_of(script, code)
    assert (line["event"], line["place"]) == ("process.defect", place)
    assert line["exception"] == "ValueError"
    assert "canary" not in json.dumps(line)


def test_an_error_of_ours_that_nobody_caught_is_told_as_it_was_meant():
    (line,) = lines_of("raise ConfigError('a.toml', [Problem('store.colour', 'is unknown')])", 1)
    assert line["event"] == "service.refused"
    assert "store.colour: is unknown" in line["message"]


def test_a_warning_of_python_is_a_line():
    (line,) = lines_of("warnings.warn('old')")
    assert line["logger"] == "py.warnings"


def test_a_record_with_wrong_arguments_is_not_shown_with_them():
    assert lines_of("logging.getLogger('theirs').warning('%d', 'canary')") == []
