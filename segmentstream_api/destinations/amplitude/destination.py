"""Sends events to Amplitude: the HTTP V2 API for one, the Batch Event Upload API for several.

Sources: https://amplitude.com/docs/apis/analytics/http-v2 and …/batch-event-upload, read in 2026,
and Amplitude's own Python client for what no page says: an API key that Amplitude does not know is
answered 400, and 400 may name events beside which the others were not taken.

429 names users and devices that send too much. To wait the 30 s that the documentation asks for,
or for the next day's quota, would hold up everybody else's events: the named ones are retried on
the usual schedule, alone. Only a 429 that names nobody is waited out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from segmentstream_api.destinations.amplitude.event import amplitude_event
from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Rejected, Retry
from segmentstream_api.destinations.mapping.envelope import mapping
from segmentstream_api.destinations.transport.batch import in_one_request, shared
from segmentstream_api.destinations.transport.endpoint import (
    BASE_URL,
    TIMEOUT,
    base_url,
    base_url_problems,
    region,
)
from segmentstream_api.destinations.transport.json import as_said, encoded, indexes, json_object
from segmentstream_api.destinations.transport.sender import Answer, HttpSender, outcome_of

HOSTS: Mapping[str, str] = MappingProxyType(
    {"us": "https://api2.amplitude.com", "eu": "https://api.eu.amplitude.com"}
)
MAX_REQUEST_BYTES = 20_000_000
THROTTLED_SECONDS = 30.0

_BY_FIELD = (
    "events_with_invalid_fields",
    "events_with_missing_fields",
    "events_with_invalid_id_lengths",
)
_THROTTLED = (
    "throttled_users",
    "throttled_devices",
    "exceeded_daily_quota_users",
    "exceeded_daily_quota_devices",
)


class Amplitude(Destination):
    """`insert_id` is the delivery's key: Amplitude takes it once in 7 days."""

    type_name = "amplitude"
    display_name = "Amplitude"
    batch_size = 200  # of 64 KB, the largest that are accepted, still fit into a request
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "api_key": {
                "description": "The API key of the project.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "region": region(HOSTS),
            "base_url": BASE_URL,
            "timeout_seconds": TIMEOUT,
        },
        "required": ["api_key"],
        "additionalProperties": False,
    }

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.url = base_url(settings, HOSTS)
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])
        # Ids of one character are ids; by itself Amplitude takes none under 5.
        self._start = (
            b'{"api_key":' + encoded(settings["api_key"]) + b',"options":{"min_id_length":1}'
        )

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return in_one_request(deliveries, _event, self._post, most_bytes=MAX_REQUEST_BYTES)

    def close(self) -> None:
        self._http.close()

    def _post(self, events: Sequence[bytes]) -> list[Outcome]:
        answer = self._http.post(
            f"{self.url}/{'2/httpapi' if len(events) == 1 else 'batch'}",
            data=self._start + b',"events":[' + b",".join(events) + b"]}",
            headers={"Content-Type": "application/json"},
        )
        return outcomes_of(answer, len(events))


def outcomes_of(answer: Answer | Retry, count: int) -> list[Outcome]:
    """What an answer means for each of the `count` events that were sent."""
    if isinstance(answer, Answer):
        answer = as_said(answer)
        said = json_object(answer)
        match answer.status:
            case 400 if _key_is_wrong(said):
                return [Retry("HTTP 400: the API key is not valid", misconfigured=True)] * count
            case 400 if refused := _refused(said, count):
                return [refused.get(place, _NOT_TAKEN) for place in range(count)]
            case 429 if not any(said.get(name) for name in _THROTTLED):
                return [Retry("HTTP 429", after_seconds=THROTTLED_SECONDS)] * count
            case 429:
                return [Retry("HTTP 429: a user or device sends too much")] * count
    return shared(outcome_of(answer), count)


_NOT_TAKEN = Retry("HTTP 400: Amplitude refused another event of the batch")


def _key_is_wrong(said: Mapping[str, Any]) -> bool:
    error = str(said.get("error", "")).lower()
    return "api key" in error or "api_key" in error or said.get("missing_field") == "api_key"


def _refused(said: Mapping[str, Any], count: int) -> dict[int, Outcome]:
    """The events that the answer names, by their place in the request."""
    named = dict.fromkeys(indexes(said.get("silenced_events")), "its device is silenced")
    for name in _BY_FIELD:
        for places in mapping(said.get(name)).values():
            named |= dict.fromkeys(indexes(places), name.replace("events_with_", "it has "))
    return {
        place: Rejected(f"HTTP 400: {why.replace('_', ' ')}")
        for place, why in named.items()
        if 0 <= place < count
    }


def _event(delivery: Delivery) -> bytes | Rejected:
    event = amplitude_event(delivery)
    return event if isinstance(event, Rejected) else encoded(event)
