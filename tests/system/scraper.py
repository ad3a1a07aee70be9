"""Prometheus, as far as it asks: reads /metrics again and again and believes nothing."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeAlias

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.system.service import Service

Series: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_GROWING = {"counter", "histogram"}


class Page:
    """One answer of /metrics. Raises what its parser raises."""

    def __init__(self, text: str, *, as_openmetrics: bool = False) -> None:
        parse = (
            openmetrics.text_string_to_metric_families
            if as_openmetrics
            else text_string_to_metric_families
        )
        self._values: dict[Series, float] = {}
        self.growing: dict[Series, float] = {}
        for family in parse(text):
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in self._values, f"twice on one page: {series}"
                self._values[series] = sample.value
                if family.type in _GROWING:
                    self.growing[series] = sample.value

    def value(self, name: str, **labels: str) -> float:
        return self._values[name, frozenset(labels.items())]

    def names(self) -> set[str]:
        return {name for name, _ in self._values}

    def by(self, label: str, name: str, **labels: str) -> Counter[str]:
        """The values of a metric's series with these labels, added up by another one."""
        found: Counter[str] = Counter()
        for (series, pairs), value in self._values.items():
            if series == name and labels.items() <= dict(pairs).items() and value:
                found[dict(pairs)[label]] += int(value)
        return found


def scrape(service: Service, *, as_openmetrics: bool = False) -> Page:
    headers = {"Accept": _OPENMETRICS} if as_openmetrics else {}
    status, fields, body = service.request("GET", "/metrics", headers=headers)
    assert status == 200, body
    assert as_openmetrics == fields["content-type"].startswith("application/openmetrics-text")
    return Page(body.decode(), as_openmetrics=as_openmetrics)


class Scraper:
    """A context manager that scrapes until its end; what it finds wrong is raised there.

    `unanswered` counts the scrapes that got no answer.
    """

    def __init__(self, service: Service, pause_seconds: float = 0.02) -> None:
        self.pages = 0
        self.unanswered = 0
        self._service = service
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._defect: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._defect is not None:
            raise self._defect

    def _run(self) -> None:
        try:
            self._scrape_on()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            self._defect = error

    def _scrape_on(self) -> None:
        before: Mapping[Series, float] = {}
        while not self._stopping.wait(self._pause_seconds):
            try:
                page = scrape(self._service, as_openmetrics=self.pages % 2 == 1)
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                continue
            for series, value in before.items():
                assert page.growing.get(series, 0) >= value, f"it went down: {series}"
            before = page.growing
            self.pages += 1
