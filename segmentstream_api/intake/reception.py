"""Messages → events in the store: what every source's events go through, whatever their wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segmentstream_api.contract.event_types.rules import EventTypes
from segmentstream_api.contract.schemas import Contract
from segmentstream_api.errors import InvalidEvent, Refused
from segmentstream_api.event.event import Event, new_event
from segmentstream_api.intake.intake import Intake
from segmentstream_api.logs.entries import MESSAGE_REJECTED
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.sources.base import Message, Result, Source


class Reception:
    """`event_types` are by the project's name."""

    def __init__(
        self, contract: Contract, event_types: Mapping[str, EventTypes], intake: Intake
    ) -> None:
        self._contract = contract
        self._event_types = event_types
        self._intake = intake

    def take(
        self, source: Source, project: str, messages: Sequence[Message], *, received_at: float
    ) -> list[Result]:
        """What becomes of each message. All that are not refused are stored in one transaction.

        Raises StoreUnavailable, and then nothing of them was kept.
        """
        events, results = [], []
        for message in messages:
            try:
                events.append(self._event(source, project, message, received_at))
                results.append(Result(message))
            except Refused as error:
                results.append(Result(message, error))
        if events:
            self._intake.take_all(events)
        if len(messages) > 1:
            _note_refused(source, results)
        return results

    def _event(self, source: Source, project: str, message: Message, received_at: float) -> Event:
        if message.violations:
            places = (each.pointer for each in message.violations)
            raise InvalidEvent(list(message.violations), of="the source", places=places)
        self._contract.check(message.document)
        violations = self._event_types[project].check(message.document, source.overlooks)
        return new_event(project, message.document, received_at=received_at, violations=violations)


def _note_refused(source: Source, results: Sequence[Result]) -> None:
    """A refused message of several is in no status: the answer to a batch may still be 200."""
    for result in results:
        if result.refused is not None:
            metrics.refused_message(source.label, result.refused.code)
            places = getattr(result.refused, "places", ())
            MESSAGE_REJECTED(path=source.label, code=result.refused.code, pointers=list(places[:5]))
