"""Every metric, declared once, with its unit and a sentence. docs/operations.md lists them.

Whoever does something counts it here. `exposition.py` makes the page of it, and adds the Readings,
which nobody counts: they are looked up while the page is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

TRACK = "/track"
ELSEWHERE = "other"  # clients make up paths: they must not make metrics
_NO_CODE = ""
_TICKS_A_SECOND = 1 << 20  # about a microsecond each

REQUESTS = Counter(
    "segmentstream_requests",
    "Answers: all of those at /track, and the problems at any other path; by status and code",
    ["path", "status", "code"],
)
REFUSED_MESSAGES = Counter(
    "segmentstream_refused_messages",
    "Messages of batches that were refused, by path and code; the batch may have been answered 200",
    ["path", "code"],
)
EVENTS = Counter(
    "segmentstream_events", "Events acknowledged with 204, by how they were taken", ["acceptance"]
)
UNKNOWN_INTEGRATIONS = Counter(
    "segmentstream_unknown_integrations",
    "Names in `integrations` that no destination of the project answers to",
)
VIOLATIONS = Counter(
    "segmentstream_event_type_violations",
    "Places where events broke their event type, by its name and the place in its schema",
    ["event", "pointer"],
)
COMMIT_SECONDS = Histogram(
    "segmentstream_commit_seconds",
    "How long the store took to make a group of events durable, or to fail",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
COMMIT_EVENTS = Histogram(
    "segmentstream_commit_events",
    "Events that shared one commit",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
DELIVERIES = Counter(
    "segmentstream_deliveries", "Attempts to deliver, by outcome", ["destination", "outcome"]
)
DELIVERY_SECONDS = Histogram(
    "segmentstream_delivery_seconds",
    "How long a destination took for one batch, pushed or redelivered",
    ["destination"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge that is read off when somebody looks at it."""

    name: str
    sentence: str
    labels: tuple[str, ...] = ()

    def family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self.name, self.sentence, labels=self.labels)


OUTBOX_WAITING = Reading(
    "segmentstream_outbox_waiting", "Deliveries that wait for the destination", ("destination",)
)
OUTBOX_OLDEST_AGE_SECONDS = Reading(
    "segmentstream_outbox_oldest_age_seconds",
    "How long ago the oldest event that waits for the destination was received; 0 if none waits",
    ("destination",),
)
DEAD_LETTERS = Reading(
    "segmentstream_dead_letters", "Deliveries given up and still kept", ("destination",)
)
BREAKER_OPEN = Reading(
    "segmentstream_breaker_open",
    "1 if the destination's breaker is open, as the process that last changed its own has it",
    ("destination",),
)
STORE_UP = Reading(
    "segmentstream_store_up",
    "0 if the store could not be read for this page; then what it holds is left out",
)
NOT_READY = Reading(
    "segmentstream_not_ready", "1 while GET /ready answers 503 because of the finding", ("finding",)
)
BUILD_INFO = Reading(
    "segmentstream_build_info", "Always 1: what runs", ("version", "python", "store")
)

COUNTED = (
    REQUESTS,
    REFUSED_MESSAGES,
    EVENTS,
    UNKNOWN_INTEGRATIONS,
    VIOLATIONS,
    COMMIT_SECONDS,
    COMMIT_EVENTS,
    DELIVERIES,
    DELIVERY_SECONDS,
)
READ = (
    OUTBOX_WAITING,
    OUTBOX_OLDEST_AGE_SECONDS,
    DEAD_LETTERS,
    BREAKER_OPEN,
    STORE_UP,
    NOT_READY,
    BUILD_INFO,
)

# What can be counted by then starts at 0: a counter that begins at 1 shows no increase.
ANSWERS = (
    (204, _NO_CODE),
    (400, "bad_request"),
    (400, "content_encoding"),
    (400, "content_length"),
    (400, "content_type"),
    (400, "invalid_event"),
    (400, "invalid_json"),
    (400, "too_large"),
    (401, "unauthorized"),
    (405, "method_not_allowed"),
    (500, "internal"),
    (503, "unavailable"),
)
BATCH_ANSWERS = (  # of other sources than /track
    (200, _NO_CODE),
    (413, "too_large"),
    (429, "too_many_requests"),
)
ACCEPTANCES = ("new", "duplicate", "conflict")
OUTCOMES = ("delivered", "retry", "rejected")

# Finding a labelled child anew takes a lock.
_requests = {
    (TRACK, status, code): REQUESTS.labels(TRACK, status, code) for status, code in ANSWERS
}
_events = {acceptance: EVENTS.labels(acceptance) for acceptance in ACCEPTANCES}
_labels: dict[str | None, str] = {TRACK: TRACK}
_deliveries: dict[tuple[str, str], Counter] = {}
_delivery_seconds: dict[str, Histogram] = {}


def request(status: int, code: str = _NO_CODE, path: str | None = TRACK) -> None:
    """One request was answered. `path` is that of the route, not the client's word."""
    known = _labels.get(path, ELSEWHERE)
    child = _requests.get((known, status, code))
    if child is None:
        child = _requests[known, status, code] = REQUESTS.labels(known, status, code)
    child.inc()


def source(label: str, paths: Iterable[str]) -> None:
    """There is such a source: what is counted of it begins now, at 0, under its label."""
    _labels.update(dict.fromkeys(paths, label))
    for status, code in (*ANSWERS, *BATCH_ANSWERS) if label != TRACK else ANSWERS:
        _requests[label, status, code] = REQUESTS.labels(label, status, code)
    if label != TRACK:
        REFUSED_MESSAGES.labels(label, "invalid_event")


def refused_message(label: str, code: str) -> None:
    """One message of a batch was refused."""
    REFUSED_MESSAGES.labels(label, code).inc()


def event(acceptance: str) -> None:
    """One event was acknowledged."""
    _events[acceptance].inc()


def commit(events: int, seconds: float) -> None:
    """The store made so many events durable, or failed to."""
    COMMIT_SECONDS.observe(_summable(seconds))
    COMMIT_EVENTS.observe(events)


def destination(name: str) -> None:
    """There is such a destination: what is counted of it begins now, at 0."""
    for outcome in OUTCOMES:
        _deliveries[name, outcome] = DELIVERIES.labels(name, outcome)
    _delivery_seconds[name] = DELIVERY_SECONDS.labels(name)


def delivery(destination: str, outcome: str) -> None:
    """One attempt to deliver one event ended. The destination is known."""
    _deliveries[destination, outcome].inc()


def delivery_seconds(destination: str, seconds: float) -> None:
    """The destination, which is known, took so long for a batch."""
    _delivery_seconds[destination].observe(_summable(seconds))


def violation(event: str, pointer: str) -> None:
    """One event broke its event type in this place. Both are names that a schema knows."""
    VIOLATIONS.labels(event, pointer).inc()


def unknown_integrations(count: int) -> None:
    """So many names that nobody answers to were in an event's `integrations`."""
    UNKNOWN_INTEGRATIONS.inc(count)


def _summable(seconds: float) -> float:
    """In whole ticks, a power of two of them, so that sums are exact in any order.

    Others may differ in the last bit when processes are added up anew, and be a little less than
    before; Prometheus takes a counter that went down for one that began at 0 again.
    """
    return round(seconds * _TICKS_A_SECOND) / _TICKS_A_SECOND
