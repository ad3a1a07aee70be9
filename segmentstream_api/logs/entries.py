"""Everything that the service may log, declared once: its name, its level and a sentence.

docs/operations.md says what to do about each; schemas/log.json describes the lines.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from logging import CRITICAL, ERROR, INFO, WARNING

from segmentstream_api.logs.traces import kind, trace

OURS = "segmentstream_api"
ENTRY, FIELDS = "segmentstream_entry", "segmentstream_fields"  # of a LogRecord
SERVER_MESSAGE = "server.message"  # what gunicorn says
LIBRARY_MESSAGE = "library.message"  # what any other library says
_MAX_PER_MINUTE = 10  # ours: enough to see what is wrong, and bounded for the disk

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""That of the request which this thread answers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Called with the fields of a line, it logs that line; its sentence says which it needs."""

    event: str
    """The name by which machines know it; it stays."""
    level: int
    sentence: str
    max_per_minute: int = _MAX_PER_MINUTE
    """Lines in one process with the same code, project and destination; others are counted."""
    of_request: bool = False
    """What is not may be about many requests: they are stored and sent together."""
    logger: str = OURS

    def __call__(self, error: BaseException | None = None, /, **fields: object) -> None:
        """`error` is told by its class and where it was raised: its text may quote anything."""
        logger = logging.getLogger(self.logger)
        if not logger.isEnabledFor(self.level):
            return
        if error is not None:
            fields |= {"exception": kind(error), "traceback": trace(error)}
        if self.of_request and request_id.get() is not None:
            fields["request_id"] = request_id.get()
        told = self.sentence.format(**fields)
        logger.log(self.level, "%s", told, extra={ENTRY: self, FIELDS: fields})


# Requests

REQUEST_REJECTED = Entry(
    "request.rejected", INFO, "a request was refused: {status} {code}", of_request=True
)
MESSAGE_REJECTED = Entry(
    "message.rejected",
    INFO,
    "a message of a batch to {path} was refused: {code}",
    of_request=True,
)
NOT_HTTP = Entry("request.not_http", INFO, "a request was refused: {status} {code} ({reason})")
REQUEST_DEFECT = Entry(
    "request.defect", ERROR, "a request met a defect: {exception}", of_request=True
)
REQUEST_ANSWERED = Entry(
    "request.answered", INFO, "{method} {path} {status}", logger="gunicorn.access"
)
EVENT_CONFLICT = Entry(
    "event.conflict",
    WARNING,
    "project {project}: a hit id came again with another body",
    of_request=True,
)

# The store

STORE_UNAVAILABLE = Entry(
    "store.unavailable", ERROR, "the store cannot take events: {reason}", of_request=True
)
STORE_UNREADABLE = Entry("store.unreadable", ERROR, "the store cannot be read: {reason}")
STORE_SETTLE_FAILED = Entry(
    "store.settle_failed", WARNING, "the last settlements were not written: {reason}"
)
STORE_RECONNECTED = Entry("store.reconnected", WARNING, "the store is reached again")
STORE_UNSAFE = Entry(
    "store.unsafe",
    WARNING,
    "the store's server has fsync off: a crash of its machine loses what was acknowledged",
)
HOUSEKEEPING_POSTPONED = Entry("housekeeping.postponed", WARNING, "housekeeping waits: {reason}", 1)
HOUSEKEEPING_DEFECT = Entry(
    "housekeeping.defect", ERROR, "housekeeping met a defect: {exception}", 1
)
CLOCK_SET_BACK = Entry(
    "clock.set_back", WARNING, "the clock was set back; deliveries made due now: {count}"
)

# Destinations

DELIVERY_FAILED = Entry(
    "delivery.failed", WARNING, "destination {destination} did not take an event: {reason}", 1
)
DELIVERY_MISCONFIGURED = Entry(
    "delivery.misconfigured",
    ERROR,
    "destination {destination} did not take an event: {reason}",
    1,
)
DELIVERY_REJECTED = Entry(
    "delivery.rejected", WARNING, "destination {destination} rejected an event: {reason}"
)
DELIVERY_DEFECT = Entry(
    "delivery.defect", ERROR, "delivering to {destination} met a defect: {exception}", 1
)
BREAKER_OPENED = Entry(
    "breaker.opened",
    ERROR,
    "destination {destination} fails ({reason}): its breaker opens, its events wait",
)
BREAKER_CLOSED = Entry(
    "breaker.closed", WARNING, "destination {destination} answers again: its breaker closes"
)
BACKLOG_RELEASE_FAILED = Entry(
    "backlog.release_failed",
    WARNING,
    "destination {destination}: its backlog was not released: {reason}",
)
REDELIVERY_POSTPONED = Entry(
    "redelivery.postponed", WARNING, "redelivery to {destination} waits: {reason}", 1
)
DESTINATION_SLOW = Entry(
    "destination.slow",
    WARNING,
    "destination {destination} takes longer than the push budget: requests do not wait for it",
)
DESTINATION_SLOW_RESOLVED = Entry(
    "destination.slow_resolved",
    WARNING,
    "destination {destination} answers within the push budget again: requests wait for it",
)
DESTINATION_CONTRACT_BROKEN = Entry(
    "destination.contract_broken", ERROR, "destination {destination} is defective: {reason}", 1
)
DESTINATION_CLOSE_FAILED = Entry(
    "destination.close_failed", ERROR, "destination {destination} cannot be closed: {exception}"
)
DESTINATION_NOT_CONFIGURED = Entry(
    "destination.not_configured",
    WARNING,
    "{count} events wait for destination {destination}, which is not configured; they are kept "
    "until it is again",
)
KAFKA_REPORT_UNREADABLE = Entry(
    "kafka.report_unreadable", ERROR, "a report of Kafka's could not be read: {exception}"
)

# The process

CONFIGURATION_RELOADED = Entry(
    "configuration.reloaded", INFO, "the configuration was reloaded from {source}"
)
CONFIGURATION_REFUSED = Entry(
    "configuration.refused",
    ERROR,
    "the configuration was not reloaded; the one before stays. {reason}",
)
SERVICE_REFUSED = Entry("service.refused", CRITICAL, "{reason}")
DELIVER_STARTED = Entry("deliver.started", INFO, "delivering as {source} says")
DELIVER_STOPPING = Entry("deliver.stopping", INFO, "stopping when what is being sent is done")
METRICS_MERGE_FAILED = Entry(
    "metrics.merge_failed",
    ERROR,
    "the metrics of workers that ended were not added up: {exception}",
)
PROCESS_DEFECT = Entry("process.defect", ERROR, "{place} met a defect: {exception}")
