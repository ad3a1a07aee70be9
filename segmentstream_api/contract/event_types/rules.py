"""A project's rules: which event types its events are held against, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from segmentstream_api.contract.event_types.files import EventType, segmentstream_types
from segmentstream_api.errors import InvalidEvent, Violation
from segmentstream_api.event.user import with_user_in_event

OnViolation: TypeAlias = Literal["off", "report", "reject"]
OnUnknown: TypeAlias = Literal["allow", "report", "reject"]
_UNKNOWN = Violation("/event/name", "is not the name of a known event type")
_UNKNOWN_LABEL = "(unknown)"  # whatever its name: clients must not make metrics


@dataclass(frozen=True, slots=True)
class EventTypeSettings:
    on_violation: OnViolation = "report"
    on_unknown: OnUnknown = "allow"
    own: tuple[EventType, ...] = field(default=(), repr=False)
    """The team's own; they come before SegmentStream's of the same name."""


class EventTypes:
    """The event types of one project. Built at start-up; used by every thread.

    `count_violation` is called with the name of the event type and each pointer that an event
    breaks, both of them names that a schema knows.
    """

    def __init__(
        self,
        settings: EventTypeSettings | None = None,
        count_violation: Callable[[str, str], None] = lambda _name, _pointer: None,
    ) -> None:
        self._count_violation = count_violation
        self._settings = settings = settings or EventTypeSettings()
        self._types: Mapping[str, EventType] = {
            name: each for each in (*segmentstream_types(), *settings.own) for name in each.names
        }

    def _named(self, name: object) -> EventType | None:
        return self._types.get(name) if isinstance(name, str) else None

    def applied_to(self, document: Mapping[str, Any]) -> EventType | None:
        """The event type that the document is held against."""
        off = self._settings.on_violation == "off"
        return None if off else self._named(document["event"].get("name"))

    def violations(self, document: Mapping[str, Any]) -> Sequence[Violation]:
        """Where a document that keeps to schemas/track.json breaks its event type."""
        found = self._named(document["event"].get("name"))
        if found is None:
            return () if self._settings.on_unknown == "allow" else (_UNKNOWN,)
        if self._settings.on_violation == "off":
            return ()
        return found.contract.found(with_user_in_event(document))

    def check(
        self,
        document: Mapping[str, Any],
        overlooks: Callable[[str, Violation], bool] = lambda _name, _violation: False,
    ) -> Sequence[Violation]:
        """What `violations` finds, counted. Raises InvalidEvent where the project rejects it.

        `overlooks` says, by the event type's name, what does not count as a violation.
        """
        violations = self.violations(document)
        if violations:
            found = self._named(document["event"].get("name"))
            name = found.names[0] if found else _UNKNOWN_LABEL
            violations = [each for each in violations if not overlooks(name, each)]
        if violations:
            places = {_place(found, each.pointer) for each in violations}
            for pointer in places:
                self._count_violation(found.names[0] if found else _UNKNOWN_LABEL, pointer)
            if self._rejects(found):
                of = f"the event type {found.names[0]!r}" if found else "the event types"
                raise InvalidEvent(list(violations), of, places)
        return violations

    def _rejects(self, found: EventType | None) -> bool:
        """Whether a violation of this event type, or of none, is answered 400."""
        settings = self._settings
        return (settings.on_violation if found else settings.on_unknown) == "reject"


def _place(found: EventType | None, pointer: str) -> str:
    return found.places.known(pointer) if found else pointer
