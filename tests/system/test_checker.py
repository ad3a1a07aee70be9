"""The verdict can be guilty: every fault that it looks for is shown to it once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.checker import Answer, Arrival, History, at_webhook, judge
from tests.system.receiver import Receiver


def history(**statuses: int | None) -> History:
    return History(
        statuses,
        [Answer(hit_id, status, None, 0.01) for hit_id, status in statuses.items()],
    )


def arrival(hit_id: str, **changes) -> Arrival:
    return Arrival(**{"hit_id": hit_id, "body": f"body {hit_id}", "key": f"key {hit_id}"} | changes)


def test_all_is_well_when_everything_acknowledged_arrived_once() -> None:
    judge(history(a=204, b=204), [arrival("b"), arrival("a")]).require()


def test_an_acknowledged_event_that_never_arrived_is_lost() -> None:
    verdict = judge(history(a=204, b=204), [arrival("b")])
    assert verdict.lost == {"a"}
    with pytest.raises(AssertionError, match="1 acknowledged and never delivered: a"):
        verdict.require()


def test_an_attempt_that_was_refused_is_no_delivery() -> None:
    assert judge(history(a=204), [arrival("a", kept=False)]).lost == {"a"}


def test_an_event_that_was_not_acknowledged_may_arrive_or_not() -> None:
    judge(history(a=None, b=503), [arrival("a")]).require()


def test_an_event_that_nobody_sent_is_unexpected() -> None:
    verdict = judge(history(a=204), [arrival("a"), arrival("z")])
    assert verdict.unexpected == {"z"}
    with pytest.raises(AssertionError, match="1 delivered and never sent: z"):
        verdict.require()


def test_two_keys_for_one_event_are_a_fault() -> None:
    verdict = judge(history(a=204), [arrival("a"), arrival("a", key="another")])
    assert verdict.without_one_key == {"a"}
    with pytest.raises(AssertionError, match="without a key of its own: a"):
        verdict.require(duplicates_at_most=1)


def test_two_keys_are_a_fault_even_if_only_one_attempt_was_kept() -> None:
    arrivals = [arrival("a", key="another", kept=False), arrival("a")]
    assert judge(history(a=204), arrivals).without_one_key == {"a"}


def test_one_key_for_two_events_is_a_fault() -> None:
    verdict = judge(history(a=204, b=204), [arrival("a", key="k"), arrival("b", key="k")])
    assert verdict.without_one_key == {"a", "b"}


def test_two_bodies_for_one_event_are_a_fault() -> None:
    verdict = judge(history(a=204), [arrival("a", kept=False), arrival("a", body="other bytes")])
    assert verdict.with_several_bodies == {"a"}
    with pytest.raises(AssertionError, match="1 with several bodies: a"):
        verdict.require()


def test_duplicates_are_counted_and_need_an_excuse() -> None:
    verdict = judge(history(a=204, b=204), [arrival(each) for each in "aaabb"])
    assert verdict.duplicates == 3
    verdict.require(duplicates_at_most=3)
    with pytest.raises(AssertionError, match="3 duplicates, at most 2 allowed"):
        verdict.require(duplicates_at_most=2)


def test_logs_of_clients_are_read_back(tmp_path: Path) -> None:
    attempts = [
        {"sent": "a"},
        {"hit_id": "a", "status": None, "error": "ConnectionResetError", "seconds": 0.1},
        {"sent": "a"},
        {"hit_id": "a", "status": 204, "error": None, "seconds": 0.2},
        {"sent": "b"},
    ]
    (tmp_path / "client-0.jsonl").write_text("\n".join(map(json.dumps, attempts)))
    read = History.read(tmp_path)
    assert read.sent == {"a", "b"}
    assert read.acknowledged == {"a"}
    assert read.outcomes() == {204: 1, "ConnectionResetError": 1}
    assert read.seconds() == [0.2]


def test_an_answer_that_was_cut_was_a_delivery_and_a_5xx_was_none(tmp_path: Path) -> None:
    log = tmp_path / "received.jsonl"
    requests = [
        {"key": "k", "body": json.dumps({"hitId": "a"}), "status": status}
        for status in (204, None, 500)
    ]
    log.write_text("\n".join(map(json.dumps, requests)))
    receiver = Receiver(log)
    try:
        assert [arrival.kept for arrival in at_webhook(receiver)] == [True, True, False]
    finally:
        receiver.close()
