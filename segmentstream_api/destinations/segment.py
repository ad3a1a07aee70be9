"""Sends each event as a `track` call to Segment, or to what speaks its language: RudderStack.

What came from one of Segment's SDKs goes on as the call that it was.

Sources: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/,
https://www.twilio.com/docs/segment/guides/duplicate-data (both read in 2026),
https://www.rudderstack.com/docs/api/http-api/ and rudder-server's gateway/response/response.go.
Where they differ the tighter limit holds (500 KB for a batch; RudderStack takes 4 MB), and 413
means what Segment says with 400.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from segmentstream_api.destinations.base import (
    Delivered,
    Delivery,
    Destination,
    Outcome,
    Rejected,
    Retry,
)
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.destinations.segment_original import original_call
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

HOSTS: Mapping[str, str] = MappingProxyType(
    {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
)
MAX_EVENT_BYTES = 32 * 1024
MAX_BATCH_BYTES = 500_000
_TRACK = b'{"type":"track",'
_ENVELOPE_BYTES = len(b'{"batch":[]}')


class Segment(Destination):
    """The event's time goes as `timestamp`, and nothing as `sentAt`.

    Segment takes `sentAt` for the sender's clock and would move the event by what it is slow.
    """

    type_name = "segment"
    display_name = "Segment"
    batch_size = 100  # of 5 KB fill a request; a usual event has 1 KB
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "write_key": {
                "description": "The write key of the source.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "region": region(HOSTS),
            "base_url": {
                **BASE_URL,
                "description": "Where the API is instead, such as RudderStack's data plane or a "
                "proxy: http:// or https://, without /v1.",
            },
            "timeout_seconds": TIMEOUT,
        },
        "required": ["write_key"],
        "additionalProperties": False,
    }

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.url = base_url(settings, HOSTS)
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        most_bytes = MAX_BATCH_BYTES - _ENVELOPE_BYTES
        return in_one_request(deliveries, self._call, self._post, most_bytes=most_bytes)

    def close(self) -> None:
        self._http.close()

    def _call(self, delivery: Delivery) -> bytes | Rejected:
        envelope = Envelope(delivery)
        original = original_call(envelope)
        if original is not None:
            return _within_limit({**original, **_integrations(envelope)})
        if not envelope.name:
            return Rejected("event.name is missing: a track call must have one")
        call = {
            "type": "track",
            "messageId": self._message_id(delivery.key),
            "timestamp": envelope.document["sentAt"],
            **_ids(envelope),
            "event": envelope.name,
            "properties": envelope.properties,
            "context": _context(envelope),
            **_integrations(envelope),
        }
        return _within_limit(call)

    def _message_id(self, key: str) -> str:
        """64 hex digits, for this event and this source, that nobody else can guess.

        Segment looks for duplicates among the message ids of all its customers.
        """
        return hmac.digest(self.settings["write_key"].encode(), key.encode(), "sha256").hex()

    def _post(self, events: Sequence[bytes]) -> list[Outcome]:
        alone = len(events) == 1 and events[0].startswith(_TRACK)
        answer = self._http.post(
            f"{self.url}/v1/{'track' if alone else 'batch'}",
            data=events[0] if alone else b'{"batch":[' + b",".join(events) + b"]}",
            headers={"Content-Type": "application/json"},
            auth=(self.settings["write_key"], ""),
        )
        return shared(_outcome(answer), len(events))


def _within_limit(call: Mapping[str, Any]) -> bytes | Rejected:
    event = encoded(call)
    if len(event) > MAX_EVENT_BYTES:
        return Rejected(f"the event has {len(event)} bytes, Segment takes {MAX_EVENT_BYTES}")
    return event


def _outcome(answer: Answer | Retry) -> Outcome:
    if isinstance(answer, Answer) and answer.status == HTTPStatus.OK:
        failed = json_object(answer).get("success") is False
        return Retry("HTTP 200 without success") if failed else Delivered()
    return outcome_of(answer)


def _ids(envelope: Envelope) -> dict[str, str]:
    ids = {"userId": envelope.user_id, "anonymousId": envelope.anonymous_id}
    return {name: value for name, value in ids.items() if value is not None}


def _context(envelope: Envelope) -> dict[str, Any]:
    """The event's own, whose fields are named like Segment's, with a proper address or none."""
    context = {key: value for key, value in envelope.context.items() if key != "ip"}
    if envelope.ip:
        context["ip"] = envelope.ip
    if envelope.traits:
        context["traits"] = envelope.traits
    return context


def _integrations(envelope: Envelope) -> dict[str, Any]:
    """Those of the event; `integrations` among its options for this destination replaces them."""
    integrations = envelope.options.get("integrations", envelope.document.get("integrations"))
    return {"integrations": integrations} if isinstance(integrations, dict) else {}
