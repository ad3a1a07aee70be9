from __future__ import annotations

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from segmentstream_api.errors import StoreUnavailable
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.monitoring.exposition import Exposition
from segmentstream_api.monitoring.readiness import FINDINGS, Readiness
from segmentstream_api.store.records import DestinationState, DestinationStats
from tests.fakes import NOON, Clock


class FakeStore:
    kind = "fake"

    def __init__(self, **stats):
        self.found = stats
        self.error = None
        self.reads = 0

    def stats(self):
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.found

    def writable(self):
        if self.error is not None:
            raise self.error


@pytest.fixture
def store():
    state = DestinationState("open", NOON - 5)
    return FakeStore(crm=DestinationStats(3, NOON - 60, 2, state), gone=DestinationStats(1, NOON))


@pytest.fixture
def exposition(store):
    return Exposition(store, ["archive", "crm"], Readiness(store), folder=None, clock=Clock())


def read(page):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_what_the_store_holds_is_told_of_each_destination_configured_or_not(exposition):
    found = read(exposition.page(None)[0])
    by_destination = {
        name: [found[f"segmentstream_{metric}", name] for metric in OF_DESTINATIONS]
        for name in ("archive", "crm", "gone")
    }
    assert by_destination == {"archive": [0, 0, 0, 0], "crm": [3, 60, 2, 1], "gone": [1, 0, 0, 0]}
    assert found["segmentstream_store_up",] == 1


OF_DESTINATIONS = ("outbox_waiting", "outbox_oldest_age_seconds", "dead_letters", "breaker_open")


def test_a_store_that_cannot_be_read_is_left_out_and_the_page_is_there(exposition, store, caplog):
    store.error = StoreUnavailable("it is locked")
    found = read(exposition.page(None)[0])
    assert found["segmentstream_store_up",] == 0
    assert not {name for name, *_ in found} & {f"segmentstream_{name}" for name in OF_DESTINATIONS}
    assert found["segmentstream_not_ready", "store_unavailable"] == 1
    assert found["segmentstream_events_total", "new"] >= 0
    assert "it is locked" in caplog.text


def test_the_store_is_read_seldom_however_often_the_page_is(exposition, store):
    for _ in range(5):
        exposition.page(None)
    assert store.reads == 1


def test_every_finding_is_told_also_while_it_is_not_found(exposition):
    found = read(exposition.page(None)[0])
    assert [found["segmentstream_not_ready", finding] for finding in FINDINGS] == [0] * len(
        FINDINGS
    )


def test_every_metric_is_on_the_page(exposition):
    page, _ = exposition.page(None)
    for metric in metrics.COUNTED:
        (family,) = metric.describe()
        assert f"# TYPE {family.name}" in page.decode()
    for reading in metrics.READ:
        assert f"# TYPE {reading.name} gauge\n" in page.decode()


def test_it_is_prometheus_text_and_openmetrics_for_who_asks_for_that(exposition):
    page, media_type = exposition.page("text/html")
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    page, media_type = exposition.page("application/openmetrics-text; version=1.0.0, */*;q=0.1")
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in openmetrics.text_string_to_metric_families(page.decode())}
    assert "segmentstream_events" in families


def test_processes_that_count_together_are_told_as_one(store, tmp_path):
    for pid in (1, 2):
        file = MmapedDict(str(tmp_path / f"counter_{pid}.db"))
        name = "segmentstream_events"
        key = mmap_key(name, f"{name}_total", ["acceptance"], ["new"], "Help")
        file.write_value(key, 20.0 + pid, 0.0)
        file.close()
    exposition = Exposition(store, [], Readiness(store), folder=tmp_path, clock=Clock())
    found = read(exposition.page(None)[0])
    assert found["segmentstream_events_total", "new"] == 43
    assert ("segmentstream_events_total", "duplicate") not in found  # not what this one counted
    assert found["segmentstream_outbox_waiting", "crm"] == 3
