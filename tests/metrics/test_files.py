from __future__ import annotations

import fcntl
import json

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser

from segmentstream_api.metrics.files import MetricsFiles
from tests.fakes import Task

HELP = "What it counts"


def count(folder, pid, **values):
    """What a process that counts leaves behind."""
    file = MmapedDict(str(folder / f"counter_{pid}.db"))
    for label, value in values.items():
        file.write_value(mmap_key("a", "a_total", ["x"], [label], HELP), float(value), 0.0)
    file.close()


def observe(folder, pid, *, le, count, total):
    file = MmapedDict(str(folder / f"histogram_{pid}.db"))
    file.write_value(mmap_key("b", "b_sum", [], [], HELP), float(total), 0.0)
    file.write_value(mmap_key("b", "b_bucket", ["le"], [le], HELP), float(count), 0.0)
    file.close()


@pytest.fixture
def files(tmp_path):
    return MetricsFiles(tmp_path)


def totals(files):
    return {
        (sample.name, json.dumps(sample.labels)): sample.value
        for metric in files.collect()
        for sample in metric.samples
    }


def names(folder):
    return {path.name for path in folder.iterdir() if path.name != "lock"}


def test_a_page_holds_the_sums_of_all_processes(files, tmp_path):
    count(tmp_path, 1, one=3, other=1)
    count(tmp_path, 2, one=4)
    assert totals(files) == {("a_total", '{"x": "one"}'): 7, ("a_total", '{"x": "other"}'): 1}


def test_the_files_of_processes_that_have_ended_become_one_and_no_total_changes(files, tmp_path):
    for pid in range(1, 6):
        count(tmp_path, pid, one=pid, other=1)
        observe(tmp_path, pid, le="0.5", count=pid, total=0.25)
        observe(tmp_path, pid, le="+Inf", count=1, total=0.25)
    before = totals(files)
    assert before["b_count", "{}"] == 15 + 5
    for alive in ({4, 5}, {5}, {5}, set()):
        files.merge_ended(alive)
        assert totals(files) == before
        assert names(tmp_path) == {"counter_ended.db", "histogram_ended.db"} | {
            f"{kind}_{pid}.db" for kind in ("counter", "histogram") for pid in alive
        }


def test_a_process_counts_on_after_others_were_added_up(files, tmp_path):
    count(tmp_path, 1, one=3)
    count(tmp_path, 2, one=4)
    files.merge_ended({2})
    count(tmp_path, 2, one=5)
    count(tmp_path, 1, one=1)  # another process that was given the same number
    assert totals(files) == {("a_total", '{"x": "one"}'): 9}
    files.merge_ended(set())
    assert totals(files) == {("a_total", '{"x": "one"}'): 9}


def test_labels_and_their_order_survive(files, tmp_path):
    file = MmapedDict(str(tmp_path / "counter_1.db"))
    key = mmap_key("a", "a_total", ["z", "a"], ['quote"', "ü\n"], HELP)
    file.write_value(key, 1.0, 0.0)
    file.close()
    files.merge_ended(set())
    (metric,) = files.collect()
    assert metric.samples[0].labels == {"z": 'quote"', "a": "ü\n"}
    assert metric.documentation == HELP
    assert key in dict(raw_values(tmp_path / "counter_ended.db"))


def raw_values(path):
    return [(key, value) for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path))]


def test_nothing_is_added_up_while_a_page_is_made(files, tmp_path):
    count(tmp_path, 1, one=3)
    with (tmp_path / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        files.merge_ended(set())
        assert names(tmp_path) == {"counter_1.db"}
        assert totals(files) == {("a_total", '{"x": "one"}'): 3}
    files.merge_ended(set())
    assert names(tmp_path) == {"counter_ended.db"}


def test_no_page_is_made_while_files_are_added_up(files, tmp_path):
    count(tmp_path, 1, one=3)
    with (tmp_path / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        page = Task(totals, files)
        page.join(0.2)
        assert page.is_alive()
        (tmp_path / "counter_1.db").rename(tmp_path / "counter_ended.db")
    assert page.result() == {("a_total", '{"x": "one"}'): 3}


def test_a_file_that_was_made_but_not_laid_out_yet_is_passed_over(files, tmp_path):
    count(tmp_path, 1, one=3)
    (tmp_path / "counter_2.db").touch()
    assert totals(files) == {("a_total", '{"x": "one"}'): 3}


def test_a_file_that_cannot_be_read_is_said_and_ends_nothing(files, tmp_path, caplog):
    (tmp_path / "counter_1.db").write_bytes(b"nonsense" * 100)
    files.merge_ended(set())
    assert "were not added up" in caplog.text
    assert names(tmp_path) == {"counter_1.db"}


def test_what_a_draft_left_behind_does_not_count(files, tmp_path):
    count(tmp_path, 1, one=3)
    count(tmp_path, "aside", one=100, other=100)
    (tmp_path / "counter_aside.db").rename(tmp_path / "counter_ended.new")
    files.merge_ended(set())
    assert totals(files) == {("a_total", '{"x": "one"}'): 3}


def test_several_histograms_are_openmetrics(files, tmp_path):
    """They must not be mixed: all series of one destination, then all of the next."""
    file = MmapedDict(str(tmp_path / "histogram_1.db"))
    for suffix, le in (("sum", {}), ("bucket", {"le": "0.5"}), ("bucket", {"le": "+Inf"})):
        for destination in ("crm", "archive"):
            labels = {"destination": destination, **le}
            key = mmap_key("b", f"b_{suffix}", list(labels), list(labels.values()), HELP)
            file.write_value(key, 1.0, 0.0)
    file.close()
    registry = CollectorRegistry()
    registry.register(files)
    page = openmetrics.generate_latest(registry).decode()
    (family,) = parser.text_string_to_metric_families(page)
    assert len(family.samples) == 2 * 4


def test_it_is_a_collector(files, tmp_path):
    registry = CollectorRegistry()
    registry.register(files)
    count(tmp_path, 1, one=3)
    assert registry.get_sample_value("a_total", {"x": "one"}) == 3
