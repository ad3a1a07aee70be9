"""Imports events into Mixpanel, validated one by one (`strict=1`).

Source: https://developer.mixpanel.com/reference/import-events, read in 2026. It differs from its
own OpenAPI file on the size of a request (10 MB, 2 MB): 2 MB holds. Of an event from the future it
says both that it is refused and that it gets the present time: here it gets the time at which it
was received, which is the same at every attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Rejected
from segmentstream_api.destinations.mixpanel.answers import outcomes_of
from segmentstream_api.destinations.mixpanel.event import MAX_EVENT_BYTES, mixpanel_event
from segmentstream_api.destinations.transport.batch import in_one_request
from segmentstream_api.destinations.transport.endpoint import (
    BASE_URL,
    TIMEOUT,
    base_url,
    base_url_problems,
    region,
)
from segmentstream_api.destinations.transport.json import encoded
from segmentstream_api.destinations.transport.sender import HttpSender

HOSTS: Mapping[str, str] = MappingProxyType(
    {
        "us": "https://api.mixpanel.com",
        "eu": "https://api-eu.mixpanel.com",
        "in": "https://api-in.mixpanel.com",
    }
)
MAX_REQUEST_BYTES = 2_000_000
_SERVICE_ACCOUNT = ("username", "secret", "project_id")


class Mixpanel(Destination):
    """Authenticated by the project's token, or by a service account, which can be withdrawn."""

    type_name = "mixpanel"
    display_name = "Mixpanel"
    batch_size = 500  # of 4 KB fill a request; a usual event has 1 KB
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "token": {
                "description": "The project's token; or else a service account.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "username": {
                "description": "The service account's name.",
                "type": "string",
                "minLength": 1,
            },
            "secret": {
                "description": "The service account's secret.",
                "type": "string",
                "minLength": 1,
                "writeOnly": True,
            },
            "project_id": {
                "description": "The project that the service account imports into: a number.",
                "type": ["string", "integer"],
            },
            "region": region(HOSTS),
            "base_url": BASE_URL,
            "timeout_seconds": TIMEOUT,
        },
        "additionalProperties": False,
    }

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.url = f"{base_url(settings, HOSTS)}/import"
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])
        self._auth = (settings.get("token", ""), "")
        self._params = {"strict": "1"}
        if "token" not in settings:
            self._auth = (settings.get("username", ""), settings.get("secret", ""))
            self._params["project_id"] = str(settings.get("project_id", ""))

    def check(self) -> list[str]:
        given = [name for name in _SERVICE_ACCOUNT if name in self.settings]
        missing = [name for name in _SERVICE_ACCOUNT if name not in self.settings]
        problems = base_url_problems(self.settings)
        if "token" in self.settings:
            problems += [f"{name}: token is enough, take one or the other" for name in given]
        elif missing:
            problems.append(f"either token, or a service account, of which {missing[0]} is missing")
        return problems

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        most_bytes = MAX_REQUEST_BYTES - len(b"[]")
        return in_one_request(deliveries, _event, self._post, most_bytes=most_bytes)

    def close(self) -> None:
        self._http.close()

    def _post(self, events: Sequence[bytes]) -> list[Outcome]:
        answer = self._http.post(
            self.url,
            data=b"[" + b",".join(events) + b"]",
            headers={"Content-Type": "application/json"},
            params=self._params,
            auth=self._auth,
        )
        return outcomes_of(answer, len(events))


def _event(delivery: Delivery) -> bytes | Rejected:
    event = mixpanel_event(delivery)
    body = event if isinstance(event, Rejected) else encoded(event)
    if isinstance(body, bytes) and len(body) > MAX_EVENT_BYTES:
        return Rejected(f"the event has {len(body)} bytes, Mixpanel takes {MAX_EVENT_BYTES}")
    return body
