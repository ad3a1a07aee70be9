from __future__ import annotations

import pytest

from segmentstream_api.destinations.mapping.envelope import (
    Envelope,
    flat,
    identifier,
    mapping,
    milliseconds,
    number,
)
from tests.destinations.events import RECEIVED_AT_TEXT, delivered


def of(context=None, **document) -> Envelope:
    event = {"name": "Seen", "user": {"userId": "u"}}
    return Envelope(delivered({"event": event, "context": context, **document}))


def test_an_event_happened_when_it_was_sent():
    assert of(sentAt="2026-01-01T00:00:00Z").happened_at.isoformat() == "2026-01-01T00:00:00+00:00"


def test_an_event_never_happened_after_it_came_in():
    ahead = of(sentAt="9999-01-01T00:00:00Z")
    assert ahead.happened_at.isoformat(timespec="milliseconds")[:23] == RECEIVED_AT_TEXT[:23]
    assert ahead.sent_at.year == 9999


@pytest.mark.parametrize(
    ("given", "ip"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("fe80::1%eth0", None),
        ("123.22.334.55", None),
        ("", None),
        (5, None),
    ],
)
def test_an_address_counts_if_it_is_one_for_every_machine(given, ip):
    assert of({"ip": given}).ip == ip


@pytest.mark.parametrize(
    ("given", "read"),
    [("a", "a"), (12, "12"), ("", None), (True, None), (1.5, None), (None, None), ([], None)],
)
def test_an_id_is_a_text_or_a_whole_number(given, read):
    assert identifier(given) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (5, 5),
        (-1.5, -1.5),
        (0, 0),
        ("12", 12),
        ("-12.50", -12.5),
        (2**53 - 1, 2**53 - 1),
        (2**53, None),
        (10**300, None),
        (1e300, None),
        (True, None),
        ("1e5", None),
        ("12,5", None),
        ("", None),
        ("٣", None),
        ("9" * 17, None),
        (None, None),
        ([5], None),
    ],
)
def test_a_number_may_be_quoted_but_not_too_large_to_be_exact(given, read):
    assert number(given) == read
    assert type(number(given)) is type(read)


def test_only_an_object_is_a_mapping():
    assert mapping({"a": 1}) == {"a": 1}
    assert mapping([1]) == {}


@pytest.mark.parametrize(
    ("moment", "read"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2019-02-21T10:56:10.723Z", 1550746570723),
        ("2019-02-21T10:56:10.723999Z", 1550746570723),
        ("1969-12-31T23:59:59.9995Z", -1),
        ("0001-01-01", -62135596800000),
        ("9999-12-31T23:59:59.999Z", 253402300799999),
    ],
)
def test_unix_milliseconds_are_exact_and_rounded_down(moment, read):
    assert milliseconds(of(sentAt=moment).sent_at) == read


def test_drawing_up_a_deep_event_does_not_make_it_much_larger():
    deep: dict[str, object] = {"leaf": 1}
    for _ in range(60):
        deep = {"k" * 1000: deep, "x": 1}
    drawn = flat(deep)
    assert drawn["x"] == 1
    assert sum(map(len, drawn)) < 10_000
