"""Every metric, declared once, with its unit and a sentence."""

from __future__ import annotations

from prometheus_client import Counter

_events = Counter(
    "segmentstream_events", "Events acknowledged with 204, by how they were taken", ["acceptance"]
)
_refusals = Counter("segmentstream_refusals", "Requests refused, by problem code", ["code"])
_deliveries = Counter(
    "segmentstream_deliveries", "Attempts to deliver, by outcome", ["destination", "outcome"]
)
unknown_integrations = Counter(
    "segmentstream_unknown_integrations",
    "Names in `integrations` that no destination of the project answers to",
)
_violations = Counter(
    "segmentstream_event_type_violations",
    "Places where events broke their event type, by its name and the place in its schema",
    ["event", "pointer"],
)

_children: dict[tuple[str, ...], Counter] = {}  # finding a labelled child anew takes a lock


def event(acceptance: str) -> None:
    """One event was acknowledged."""
    _child(_events, "event", acceptance).inc()


def refusal(code: str) -> None:
    """One request was refused."""
    _child(_refusals, "refusal", code).inc()


def deliveries(destination: str, outcome: str) -> None:
    """One attempt to deliver one event ended."""
    _child(_deliveries, "deliveries", destination, outcome).inc()


def violation(event: str, pointer: str) -> None:
    """One event broke its event type in this place. Both are names that a schema knows."""
    _child(_violations, "violation", event, pointer).inc()


def _child(counter: Counter, name: str, *labels: str) -> Counter:
    child = _children.get((name, *labels))
    if child is None:
        child = _children[name, *labels] = counter.labels(*labels)
    return child
