"""Sends events to PostHog's capture API.

Sources: https://posthog.com/docs/api/capture, https://posthog.com/docs/data/ingestion-warnings and
the server's own code (github.com/PostHog/posthog, rust/capture/src), read in 2026. Where they
differ the tighter reading holds: an event without a name is not sent, though the documentation
says that it is answered 200. PostHog documents `$raw_user_agent` nowhere; its web analytics
read it.

PostHog answers 200 to what it then drops: events over the project's quota, unless the answer says
so, and all events of a key that has the right form but belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Rejected, Retry
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.destinations.mapping.web_properties import web_properties
from segmentstream_api.destinations.transport.batch import in_one_request, shared
from segmentstream_api.destinations.transport.endpoint import (
    BASE_URL,
    TIMEOUT,
    base_url,
    base_url_problems,
    region,
)
from segmentstream_api.destinations.transport.json import encoded, json_object
from segmentstream_api.destinations.transport.sender import Answer, HttpSender, outcome_of
from segmentstream_api.timestamps import format_instant

HOSTS: Mapping[str, str] = MappingProxyType(
    {"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"}
)
MAX_REQUEST_BYTES = 20_000_000
MAX_ID_CHARACTERS = 200
"""PostHog cuts longer ones, which may make two users one (rust/common/types/src/event.rs)."""


class PostHog(Destination):
    """Events of users with a `userId` make person profiles, those of others do not."""

    type_name = "posthog"
    display_name = "PostHog"
    batch_size = 200  # of 64 KB, the largest that are accepted, still fit into a request
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "api_key": {
                "description": "The project's API key: `phc_…`, not a personal one.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "region": region(HOSTS),
            "base_url": {
                **BASE_URL,
                "description": "Where the API is instead, such as at a PostHog of your own or a "
                "proxy: http:// or https://, with or without a path.",
            },
            "timeout_seconds": TIMEOUT,
        },
        "required": ["api_key"],
        "additionalProperties": False,
    }

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.url = base_url(settings, HOSTS)
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])
        self._start = b'{"api_key":' + encoded(settings["api_key"]) + b","

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return in_one_request(deliveries, _event, self._post, most_bytes=MAX_REQUEST_BYTES)

    def close(self) -> None:
        self._http.close()

    def _post(self, events: Sequence[bytes]) -> list[Outcome]:
        """An event ends as it stands in a batch; alone, it begins with the key."""
        alone = len(events) == 1
        answer = self._http.post(
            f"{self.url}/{'i/v0/e' if alone else 'batch'}/",
            data=self._start
            + (events[0][1:] if alone else b'"batch":[' + b",".join(events) + b"]}"),
            headers={"Content-Type": "application/json"},
        )
        return shared(_outcome(answer), len(events))


def _outcome(answer: Answer | Retry) -> Outcome:
    if isinstance(answer, Answer) and answer.status == HTTPStatus.OK:
        limited = json_object(answer).get("quota_limited")
        if isinstance(limited, list) and "events" in limited:
            return Retry("HTTP 200: over the project's quota", misconfigured=True)
    return outcome_of(answer)


def _event(delivery: Delivery) -> bytes | Rejected:
    envelope = Envelope(delivery)
    if not envelope.name:
        return Rejected("event.name is missing: PostHog drops events without one")
    if len(envelope.distinct_id) > MAX_ID_CHARACTERS:
        return Rejected(f"the user's id has more than {MAX_ID_CHARACTERS} characters")
    return encoded(
        {
            "event": envelope.name,
            "distinct_id": envelope.distinct_id,
            "uuid": envelope.uuid,
            "timestamp": format_instant(envelope.happened_at),
            "properties": {
                **envelope.properties,
                **web_properties(envelope.context),
                **_person(envelope),
                **({"$ip": envelope.ip} if envelope.ip else {"$geoip_disable": True}),
                **({"$raw_user_agent": envelope.user_agent} if envelope.user_agent else {}),
                "$lib": "segmentstream-api",
            },
        }
    )


def _person(envelope: Envelope) -> dict[str, Any]:
    if envelope.user_id is None:
        return {"$process_person_profile": False}
    person: dict[str, Any] = {"$set": envelope.traits} if envelope.traits else {}
    if envelope.anonymous_id:
        person["$device_id"] = envelope.anonymous_id
    return person
