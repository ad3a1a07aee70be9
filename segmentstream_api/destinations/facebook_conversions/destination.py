"""Sends events to a pixel or data set of Meta through the Conversions API of Facebook.

Sources: https://developers.facebook.com/docs/marketing-api/conversions-api/using-the-api and
…/conversions-api/parameters. Where they leave a choice:

- The access token goes into the body, not into the URL, which proxies and logs keep.
- `event_id` is the hit id. Facebook drops a second event of the same id and name within 48 h, so
  an event that may have arrived is sent again, and a pixel's event with the same id counts once.
- `action_source` is `website` for what comes with the page's URL and the browser's user agent,
  which Facebook wants for it, and a setting for the rest.
- Facebook names no limit for the future. A time after the arrival here counts as the arrival.
- `external_id` is hashed as it is, trimmed: ids may differ by capitals. A pixel must send it so.
- `emailHash` passes as it is. SegmentStream made it without lowering the address's capitals, so
  where addresses have them, send `email`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Rejected
from segmentstream_api.destinations.facebook_conversions.answers import outcome_for
from segmentstream_api.destinations.facebook_conversions.events import facebook_event, problem
from segmentstream_api.destinations.mapping.envelope import Envelope
from segmentstream_api.destinations.transport.batch import in_one_request, shared
from segmentstream_api.destinations.transport.endpoint import BASE_URL, TIMEOUT, base_url_problems
from segmentstream_api.destinations.transport.json import encoded
from segmentstream_api.destinations.transport.sender import HttpSender

HOST = "https://graph.facebook.com"
MAX_BYTES = 1_000_000
"""Ours: of events in a request. Facebook names no limit."""


class FacebookConversions(Destination):
    """Up to 100 events in a request. What Facebook would refuse is rejected beforehand."""

    type_name = "facebook-conversions"
    display_name = "Facebook Conversions"
    batch_size = 100  # of 1,000: one bad event fails its whole request, and all then go one by one
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "pixel_id": {
                "description": "The id of the pixel or data set: digits, in quotation marks.",
                "type": "string",
                "pattern": "^[0-9]+$",
            },
            "access_token": {
                "description": "An access token for the pixel, as Events Manager makes it.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "api_version": {
                "description": "The version of the Graph API.",
                "type": "string",
                "pattern": "^v[0-9]+\\.[0-9]+$",
                "default": "v25.0",
            },
            "test_event_code": {
                "description": "Shows the events under Test Events in Events Manager. Only while "
                "setting up: take it away before events count.",
                "type": "string",
                "minLength": 1,
            },
            "action_source": {
                "description": "Where events took place that have no page URL or no user agent. "
                "Those that have both took place on a `website`.",
                "enum": [
                    "system_generated",
                    "physical_store",
                    "phone_call",
                    "chat",
                    "email",
                    "other",
                ],
                "default": "system_generated",
            },
            "send_properties": {
                "description": "Whether Facebook gets all properties of an event, and not only "
                "the products, amounts and search terms that it has a use for.",
                "type": "boolean",
                "default": False,
            },
            "base_url": BASE_URL,
            "timeout_seconds": TIMEOUT,
        },
        "required": ["pixel_id", "access_token"],
        "additionalProperties": False,
    }

    def __init__(
        self, name: str, settings: Mapping[str, Any], *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings)
        self._clock = clock
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])
        base_url = settings.get("base_url", HOST).rstrip("/")
        self._url = f"{base_url}/{settings['api_version']}/{settings['pixel_id']}/events"

    def check(self) -> list[str]:
        return base_url_problems(self.settings)

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return in_one_request(deliveries, self._prepare, self._post, most_bytes=MAX_BYTES)

    def close(self) -> None:
        self._http.close()

    def _prepare(self, delivery: Delivery) -> bytes | Rejected:
        event = facebook_event(
            Envelope(delivery),
            action_source=self.settings["action_source"],
            send_properties=self.settings["send_properties"],
        )
        reason = problem(event, self._clock())
        return Rejected(reason) if reason else encoded(event)

    def _post(self, events: Sequence[bytes]) -> Sequence[Outcome]:
        secrets = {"access_token": self.settings["access_token"]}
        if "test_event_code" in self.settings:
            secrets["test_event_code"] = self.settings["test_event_code"]
        data = b'{"data":[' + b",".join(events) + b"]," + encoded(secrets)[1:]
        answer = self._http.post(self._url, data=data, headers={"Content-Type": "application/json"})
        return shared(outcome_for(answer, len(events)), len(events))
