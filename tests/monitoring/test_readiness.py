from __future__ import annotations

import pytest

from segmentstream_api.errors import StoreUnavailable, StoreUnusable
from segmentstream_api.monitoring.readiness import FINDINGS, Readiness
from tests.fakes import Clock, Gate, Task


class FakeStore:
    """`error` is raised, and `gate` waited for, by whoever asks whether it is writable."""

    def __init__(self, error=None, gate=None):
        self.error = error
        self.gate = gate
        self.asked = 0

    def writable(self):
        self.asked += 1
        if self.gate is not None:
            self.gate.pass_through()
        if self.error is not None:
            raise self.error


def readiness(store, clock=None):
    return Readiness(store, clock or Clock())


def test_a_store_that_can_be_written_leaves_nothing_to_find():
    assert readiness(FakeStore()).findings() == ()


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (StoreUnavailable("locked"), "store_unavailable"),
        (StoreUnavailable("full", finding="disk_floor"), "disk_floor"),
        (StoreUnusable("/var/lib/store.db", "is gone"), "store_unusable"),
    ],
)
def test_what_a_store_raises_is_a_finding_and_in_the_log(error, finding, caplog):
    assert readiness(FakeStore(error)).findings() == (finding,)
    assert finding in FINDINGS
    assert f"the store cannot take events: {error}" in caplog.text


def test_a_store_that_hangs_is_a_finding_and_holds_nobody_up(caplog):
    gate = Gate()
    store = FakeStore(gate=gate)
    probed = readiness(store)
    assert probed.findings() == ("store_slow",)
    tasks = [Task(probed.findings) for _ in range(5)]  # they do not wait a second each
    assert [task.result() for task in tasks] == [("store_slow",)] * 5
    assert store.asked == 1
    assert "it does not answer within a second" in caplog.text
    gate.open()


def test_however_often_it_is_asked_the_store_is_asked_once_in_two_seconds():
    clock = Clock()
    store = FakeStore()
    probed = readiness(store, clock)
    for _ in range(20):
        probed.findings()
        clock.advance(0.2)
    assert store.asked == 2


def test_it_is_ready_again_when_the_store_is():
    clock = Clock()
    store = FakeStore(StoreUnavailable("locked"))
    probed = readiness(store, clock)
    assert probed.findings() == ("store_unavailable",)
    store.error = None
    clock.advance(2)
    assert probed.findings() == ()


def test_no_sentence_is_made_of_what_a_store_says():
    for sentence in FINDINGS.values():
        assert sentence.endswith(".")
        assert not {"{", "/"} & set(sentence)
