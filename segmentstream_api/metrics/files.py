"""What the processes of one service have counted, read from and kept in the files of all of them.

Each process has one file of 64 KB for its counters and one for its histograms, and they stay when
it ends, or totals would go down. So that pages do not take longer with each reload, the main
process adds the files of those that have ended to one.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from segmentstream_api.logs.entries import METRICS_MERGE_FAILED

_KINDS = ("counter", "histogram", "summary")  # the rest are gauges, of which we count none
_LOCK = "lock"  # a page must not see a file and the sum that it went into
_ENDED = "ended"


class MetricsFiles(Collector):
    """The files in this folder, as a registry of prometheus_client wants to be given them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """The totals of all processes, also of those that have ended."""
        with self._locked(fcntl.LOCK_SH):
            # One that a process has made and not laid out yet cannot be read, and holds nothing.
            files = [str(path) for path in self._folder.glob("*.db") if path.stat().st_size]
            totals: Collection[Metric] = MultiProcessCollector.merge(files)
        return totals

    def merge_ended(self, alive: Collection[int]) -> None:
        """Adds the files of all processes but these to the sums.

        Never raises, for a main process that does would end the service. While a page is made it
        does nothing; the next time will do.
        """
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                for kind in _KINDS:
                    self._merge(kind, {_ENDED, *map(str, alive)})
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001 - see above
            METRICS_MERGE_FAILED(error)

    def _merge(self, kind: str, others: Collection[str]) -> None:
        files = self._folder.glob(f"{kind}_*.db")
        ended = [path for path in files if path.stem.removeprefix(f"{kind}_") not in others]
        if not ended:
            return
        total = self._folder / f"{kind}_{_ENDED}.db"
        before = [total] if total.exists() else []
        draft = total.with_suffix(".new")
        draft.unlink(missing_ok=True)
        _write(draft, MultiProcessCollector.merge(map(str, [*before, *ended]), accumulate=False))
        draft.rename(total)
        for path in ended:
            path.unlink()

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with (self._folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, how)
            yield


def _write(path: Path, metrics: Iterable[Metric]) -> None:
    values = MmapedDict(str(path))
    for metric in metrics:
        for sample in metric.samples:
            names, labels = list(sample.labels), list(sample.labels.values())
            key = mmap_key(metric.name, sample.name, names, labels, metric.documentation)
            values.write_value(key, sample.value, 0.0)
    values.close()
