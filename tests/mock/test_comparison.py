from __future__ import annotations

import pytest

from segmentstream_api.mock.comparison import differences, report
from tests.mock.project import PAGE


@pytest.mark.parametrize(
    ("expected", "sent"),
    [
        ({}, {"a": 1}),
        ({"a": 1}, {"a": 1.0, "b": 2}),
        ({"a": {"b": None}}, {"a": {"b": None, "c": 3}}),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 1, "c": 3}, 2]}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
    ],
)
def test_an_object_may_have_more_than_is_expected_of_it(expected, sent):
    assert differences(expected, sent) == []


@pytest.mark.parametrize(
    ("expected", "sent", "line"),
    [
        ({"a": 1}, {"a": "1"}, 'a: expected 1, was "1"'),
        ({"a": 1}, {"a": True}, "a: expected 1, was true"),
        ({"a": False}, {"a": 0}, "a: expected false, was 0"),
        ({"a": None}, {}, "a: expected null, is missing"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b: expected 1, was 2"),
        ({"a": {"b": 1}}, {"a": "b"}, 'a: expected {"b": 1}, was "b"'),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1]: expected 2, was 3"),
        ({"a": [1]}, {"a": [1, 2]}, "a: expected [1], was [1, 2]"),
        ({"a": {1}}, {"a": 1}, "a: expected {1}, was 1"),
    ],
)
def test_every_other_difference_is_a_line_with_its_place(expected, sent, line):
    assert differences(expected, sent) == [line]


def test_a_report_is_as_the_page_shows_it():
    user = {"userId": "u-1"}
    added = {"hitId": "4c59d330", "event": {"name": "Product Added", "price": "10", "user": user}}
    detail = (
        "userId or anonymousId is required: a non-empty string in event.user"
        " (or in a top-level user)"
    )
    refused = {
        "method": "POST",
        "path": "/track",
        "status": 400,
        "code": "invalid_event",
        "violations": [{"pointer": "/event/user", "detail": detail}],
        "document": {"event": {"name": "Product Added"}},
    }
    expected = {"name": "Product Added", "price": 10, "user": user}
    assert f"```text\n{report(expected, [added], [refused], 5.0)}\n```" in PAGE


def test_nothing_sent_is_told_as_such():
    text = report({"name": "A"}, [], [], 5.0)
    assert text == (
        "no accepted event is as expected; waited 5 s\n\n"
        'expected:\n  name: "A"\n\naccepted: nothing\n\nrejected: nothing'
    )


def test_of_many_events_the_last_are_shown_and_long_values_are_cut():
    sent = [{"hitId": f"h{n}", "event": {"name": "x" * 999}} for n in range(1, 31)]
    text = report({"name": "A"}, sent, [], 5.0)
    assert "accepted: 30, of which these are the last 10" in text
    assert '"h20"' not in text
    assert '"h21"' in text
    assert max(map(len, text.splitlines())) < 260
