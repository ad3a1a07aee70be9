"""Sends events to Google Analytics 4 through its Measurement Protocol.

Sources: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference,
…/sending-events, …/validating-events. Where they can be read in two ways:

- The newest text wants two numbers with a dot as `client_id`; older ones take any text, and
  SegmentStream sent the user id. A given client id is sent as it is, any other is made two numbers.
- "Don't retry the same request", they say of answers other than 2xx. What was answered so was not
  recorded, so 408, 425, 429 and 5xx are tried again; a refusal is one.
- The time of an event can be given for each event or for the request; to be sure, each event has
  a request of its own.

Google has no key for deduplication but, per user, a purchase's `transaction_id`: `retry_unknown`
decides on what was sent and not answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Rejected, Retry
from segmentstream_api.destinations.google_analytics.body import body, problem
from segmentstream_api.destinations.google_analytics.validation import (
    STRICT,
    VALIDATION_PATH,
    validated,
)
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.destinations.transport.endpoint import (
    BASE_URL,
    TIMEOUT,
    base_url,
    base_url_problems,
    region,
)
from segmentstream_api.destinations.transport.json import encoded
from segmentstream_api.destinations.transport.sender import Answer, HttpSender, outcome_of

HOSTS = {
    "global": "https://www.google-analytics.com",
    "eu": "https://region1.google-analytics.com",
}


class GoogleAnalytics(Destination):
    """One event, one request. What Google would take in and then drop is rejected beforehand."""

    type_name = "google-analytics"
    display_name = "Google Analytics"
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "measurement_id": {
                "description": "The web data stream's measurement id, such as G-ABCDE12345.",
                "type": "string",
                "pattern": "^G-[A-Z0-9]+$",
            },
            "api_secret": {
                "description": "A Measurement Protocol API secret of the data stream.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "region": {
                **region(HOSTS),
                "description": "`eu` has the events collected in the European Union.",
            },
            "base_url": BASE_URL,
            "send_ip": {
                "description": "Whether Google gets the user's IP address, for a location.",
                "type": "boolean",
                "default": False,
            },
            "send_user_properties": {
                "description": "Whether Google gets what is known of the user, but for the email "
                "address, phone number, name and birth date, which Google forbids.",
                "type": "boolean",
                "default": False,
            },
            "retry_unknown": {
                "description": "Whether an event is sent again after a request to which no answer "
                "came. true: it may count twice. false: it may be missing, and becomes a dead "
                "letter.",
                "type": "boolean",
                "default": True,
            },
            "timeout_seconds": TIMEOUT,
        },
        "required": ["measurement_id", "api_secret"],
        "additionalProperties": False,
    }

    def __init__(
        self, name: str, settings: Mapping[str, Any], *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings)
        self._clock = clock
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return [self._send(delivery) for delivery in deliveries]

    def probe(self, delivery: Delivery) -> tuple[Outcome, str]:
        """What Google's validation server says of the event; nothing is recorded."""
        answer = self._post(VALIDATION_PATH, delivery, validation_behavior=STRICT)
        return validated(answer)

    def close(self) -> None:
        self._http.close()

    def _send(self, delivery: Delivery) -> Outcome:
        answer = self._post("/mp/collect", delivery)
        if isinstance(answer, Rejected):
            return answer
        if isinstance(answer, Retry) and answer.unanswered and not self.settings["retry_unknown"]:
            return Rejected(f"{answer.reason}: it may have been counted (retry_unknown = false)")
        return outcome_of(answer, now=self._clock())

    def _post(self, path: str, delivery: Delivery, **more: Any) -> Answer | Retry | Rejected:
        envelope = Envelope(delivery)
        if reason := problem(envelope, self._clock()):
            return Rejected(reason)
        settings = self.settings
        event = body(
            envelope,
            send_ip=settings["send_ip"],
            send_user_properties=settings["send_user_properties"],
        )
        return self._http.post(
            base_url(settings, HOSTS) + path,
            data=encoded({**event, **more}),
            headers={"Content-Type": "application/json"},
            params={
                "measurement_id": settings["measurement_id"],
                "api_secret": settings["api_secret"],
            },
        )
