from __future__ import annotations

import pytest

from segmentstream_api.destinations.transport.json import as_said, encoded, indexes, json_object
from segmentstream_api.destinations.transport.sender import Answer


def test_json_is_written_as_utf_8_on_one_line_without_needless_bytes():
    assert encoded({"a": [1, "é\n🚀"]}) == '{"a":[1,"é\\n🚀"]}'.encode()


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"\xff", b"[1]", b'"text"', b'{"cut', b"[" * 65_536, b'{"a":' * 10_000]
)
def test_an_answer_that_is_no_json_object_says_nothing(body):
    assert json_object(Answer(400, {}, body)) == {}


def test_a_json_object_is_read():
    assert json_object(Answer(200, {}, b'{"code": 200}')) == {"code": 200}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"code": 400}', 400),
        (200, b'{"code": 200}', 200),
        (200, b'{"code": "400"}', 200),
        (200, b"{}", 200),
        (500, b'{"code": 400}', 500),
    ],
)
def test_a_200_whose_body_states_an_error_is_that_error(status, body, said):
    assert as_said(Answer(status, {}, body)).status == said


@pytest.mark.parametrize(
    ("value", "found"),
    [([0, 3], [0, 3]), ([1, "2", None, True, 2.0], [1]), ({"0": 1}, []), (None, []), ("12", [])],
)
def test_indexes_are_the_whole_numbers_of_a_list(value, found):
    assert indexes(value) == found
