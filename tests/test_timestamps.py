from __future__ import annotations

from datetime import UTC, datetime

import pytest

from segmentstream_api.timestamps import canonical_instant, format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-02-21T10:56:10.723Z", datetime(2019, 2, 21, 10, 56, 10, 723000, UTC)),
        ("2019-02-21t10:56:10z", datetime(2019, 2, 21, 10, 56, 10, 0, UTC)),
        ("2019-02-21T13:56:10+03:00", datetime(2019, 2, 21, 10, 56, 10, 0, UTC)),
        ("2019-02-21T00:30-0130", datetime(2019, 2, 21, 2, 0, 0, 0, UTC)),
        ("2019-02-21T10:56:10", datetime(2019, 2, 21, 10, 56, 10, 0, UTC)),
        ("2019-02-21T10:56:10,5Z", datetime(2019, 2, 21, 10, 56, 10, 500000, UTC)),
        ("2019-02-21", datetime(2019, 2, 21, 0, 0, 0, 0, UTC)),
        ("2020-02-29", datetime(2020, 2, 29, 0, 0, 0, 0, UTC)),
    ],
)
def test_an_iso_8601_date_or_date_time_names_a_moment_and_without_offset_it_is_utc(text, moment):
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2019-02-30", "2019-13-01", "12:30"])
def test_what_names_no_moment_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:30+01:00", "9999-12-31T23:30-01:00"])
def test_a_moment_that_leaves_the_years_1_to_9999_in_utc_is_a_value_error(text):
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("microsecond", "written"),
    [(0, ".000Z"), (723_000, ".723Z"), (723_400, ".723400Z"), (1, ".000001Z")],
)
def test_it_is_written_in_utc_to_the_millisecond_and_finer_only_if_need_be(microsecond, written):
    moment = datetime(2019, 2, 21, 10, 56, 10, microsecond, UTC)
    assert format_instant(moment) == f"2019-02-21T10:56:10{written}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2019-02-21T10:56:10.723Z", "2019-02-21T10:56:10.723Z"),
        ("2019-02-21T13:56:10.723+03:00", "2019-02-21T10:56:10.723Z"),
        ("2019-02-21", "2019-02-21T00:00:00.000Z"),
        ("2019-02-21T10:56:10.7234Z", "2019-02-21T10:56:10.723400Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_every_way_to_write_a_moment_has_one_canonical_form(text, canonical):
    assert canonical_instant(text) == canonical
    assert canonical_instant(canonical) == canonical
