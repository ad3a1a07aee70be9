from __future__ import annotations

import pytest

from segmentstream_api.destinations.base import Delivered, Rejected, Retry
from segmentstream_api.destinations.transport.batch import NO_ROOM, in_one_request, shared
from segmentstream_api.testing import delivery

REFUSED = Rejected("against the rules")


def run(prepared, most_bytes=100, outcomes=None):
    """The outcomes, and the events of each request that was made."""
    sent = []
    of_number = {delivery(n).key: made for n, made in enumerate(prepared)}

    def send(events):
        sent.append(list(events))
        return outcomes if outcomes is not None else [Delivered()] * len(events)

    deliveries = [delivery(n) for n in range(len(prepared))]
    found = in_one_request(deliveries, lambda d: of_number[d.key], send, most_bytes=most_bytes)
    return found, sent


def test_all_that_fit_travel_in_one_request_in_their_order():
    assert run([b"a", b"bb", b"c"]) == ([Delivered()] * 3, [[b"a", b"bb", b"c"]])


def test_an_event_that_cannot_be_sent_does_not_keep_back_the_others():
    outcomes, sent = run([b"a", REFUSED, b"c"], outcomes=[Delivered(), Retry("later")])
    assert outcomes == [Delivered(), REFUSED, Retry("later")]
    assert sent == [[b"a", b"c"]]


def test_if_nothing_can_be_sent_there_is_no_request():
    assert run([REFUSED, REFUSED]) == ([REFUSED, REFUSED], [])


def test_no_deliveries_are_no_request():
    assert run([]) == ([], [])


def test_what_does_not_fit_any_more_waits_and_what_is_small_enough_still_goes():
    outcomes, sent = run([b"4444", b"55555", b"1"], most_bytes=8)
    assert outcomes == [Delivered(), NO_ROOM, Delivered()]
    assert sent == [[b"4444", b"1"]]


@pytest.mark.parametrize(("most_bytes", "fits"), [(8, False), (9, True)])
def test_what_parts_the_events_counts(most_bytes, fits):
    outcomes, _ = run([b"4444", b"4444"], most_bytes=most_bytes)
    assert outcomes == [Delivered(), Delivered() if fits else NO_ROOM]


def test_the_first_event_is_sent_however_large():
    assert run([b"x" * 50], most_bytes=8)[1] == [[b"x" * 50]]


def test_fewer_outcomes_than_events_are_a_defect_and_not_swallowed():
    with pytest.raises(ValueError, match="shorter"):
        run([b"a", b"b"], outcomes=[Delivered()])


def test_one_answer_is_the_outcome_of_every_event():
    assert shared(Delivered(), 2) == [Delivered()] * 2
    assert shared(Retry("HTTP 500", after_seconds=3), 2) == [Retry("HTTP 500", after_seconds=3)] * 2


def test_one_event_that_is_refused_is_rejected():
    assert shared(Rejected("HTTP 400"), 1) == [Rejected("HTTP 400")]


def test_several_that_are_refused_are_tried_alone_because_one_may_be_at_fault():
    retry = Retry("HTTP 400 to 2 events at once: each goes alone next time")
    assert shared(Rejected("HTTP 400"), 2) == [retry, retry]
