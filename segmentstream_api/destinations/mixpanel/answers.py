"""What Mixpanel's answers mean. Called by `mixpanel.py`, which names the source."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected, Retry
from segmentstream_api.destinations.transport.batch import shared
from segmentstream_api.destinations.transport.json import as_said, indexes, json_object
from segmentstream_api.destinations.transport.sender import Answer, outcome_of

_FIELDS = {  # those that are the same for every event; another may be named as a secret is
    "event": "its name",
    "properties.time": "its time",
    "properties.distinct_id": "its user id",
    "properties.$insert_id": "its insert id",
}


def outcomes_of(answer: Answer | Retry, count: int) -> list[Outcome]:
    """What an answer means for each of the `count` events that were sent."""
    if isinstance(answer, Answer):
        answer = as_said(answer)
        said = json_object(answer)
        imported = said.get("num_records_imported", count)
        failed = _failed(said, count) if answer.status == HTTPStatus.BAD_REQUEST else {}
        if failed or answer.status == HTTPStatus.OK:
            # What passes validation is imported, whatever becomes of the rest of the request.
            complete = not isinstance(imported, int) or imported >= count - len(failed)
            others = Delivered() if complete else Retry("Mixpanel imported only a part")
            return [failed.get(place, others) for place in range(count)]
    return shared(outcome_of(answer), count)


def _failed(said: Mapping[str, Any], count: int) -> dict[int, Outcome]:
    """The events that failed validation, by their place in the request."""
    found = said.get("failed_records")
    records = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return {
        place: Rejected(f"HTTP 400: Mixpanel refused {_FIELDS.get(str(record.get('field')), 'it')}")
        for record in records
        for place in indexes([record.get("index")])
        if 0 <= place < count
    }
