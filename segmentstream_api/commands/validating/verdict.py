"""What the service would say of a document, and what comes together. Called by `validate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from segmentstream_api.contract.event_types.files import EventType
from segmentstream_api.contract.event_types.rules import EventTypes
from segmentstream_api.contract.schemas import Contract
from segmentstream_api.contract.strict_json import parse
from segmentstream_api.errors import InvalidEvent, Refused, TooLarge, Violation
from segmentstream_api.http.body import MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Verdict:
    violations: Sequence[Violation] = ()
    valid: bool = True
    event_type: EventType | None = None
    """The one that the document was held against; None if it did not come to that."""
    places: frozenset[str] = frozenset()
    """Where the event type is broken, with `*` for each index."""


class Judge:
    """A document that breaks its event type alone is valid if `lenient`."""

    def __init__(self, event_types: EventTypes, *, lenient: bool) -> None:
        self._contract = Contract.load("track.json")
        self._event_types = event_types
        self._lenient = lenient

    def verdict(self, body: bytes) -> Verdict:
        try:
            if len(body) > MAX_BODY_BYTES:
                raise TooLarge(f"has more than {MAX_BODY_BYTES} bytes")
            document = parse(body)
            self._contract.check(document)
        except InvalidEvent as error:
            return Verdict(error.violations, valid=False)
        except Refused as error:
            return Verdict((Violation("", error.detail),), valid=False)
        found = self._event_types.applied_to(document)
        violations = self._event_types.violations(document)
        places = frozenset(found.places.known(each.pointer) for each in violations if found)
        valid = not violations or self._lenient
        return Verdict(violations, valid=valid, event_type=found, places=places)


@dataclass(slots=True)
class Totals:
    documents: int = 0
    invalid: int = 0
    violations: int = 0
    applied: dict[str, dict[str, str | int]] = field(default_factory=dict)
    """By the event type's name: its file, and how many documents were held against it."""
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many documents broke an event type in a place."""

    def add(self, verdict: Verdict) -> None:
        self.documents += 1
        self.invalid += not verdict.valid
        self.violations += len(verdict.violations)
        if verdict.event_type is None:
            return
        name = verdict.event_type.names[0]
        applied = self.applied.setdefault(name, {"schema": verdict.event_type.file, "documents": 0})
        applied["documents"] = int(applied["documents"]) + 1
        self.places.update((name, place) for place in verdict.places)
