"""The metrics as they are declared, with what Prometheus calls their series."""

from __future__ import annotations

from collections.abc import Mapping

from segmentstream_api.metrics import declared as metrics

_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
_OF_PROMETHEUS = {"instance", "job"}


def declared() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Kind and labels by the name in the documentation: of a counter, with `_total`."""
    counted = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            tuple(metric._labelnames),  # noqa: SLF001 - nothing else tells
        )
        for metric in metrics.COUNTED
        for family in metric.describe()
    }
    return counted | {reading.name: ("gauge", reading.labels) for reading in metrics.READ}


def series_labels() -> Mapping[str, set[str]]:
    """The labels that a series may be chosen or grouped by, by its name on the page."""
    found: dict[str, set[str]] = {"up": {*_OF_PROMETHEUS}}
    for name, (kind, labels) in declared().items():
        for suffix in _SUFFIXES[kind]:
            bucket = {"le"} if suffix == "_bucket" else set()
            found[name.removesuffix("_total") + suffix] = {*labels, *bucket, *_OF_PROMETHEUS}
    return found
