"""Posts each event to a URL of the operator's, signed as Standard Webhooks 1.0.0 says.

Source: https://www.standardwebhooks.com, spec/standard-webhooks.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlsplit

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Retry
from segmentstream_api.destinations.transport.retry_after import retry_after_seconds
from segmentstream_api.destinations.transport.sender import Answer, HttpSender, outcome_of
from segmentstream_api.destinations.webhook.signature import secret_problem, signed_headers

GONE_RETRY_SECONDS = 3600.0
"""How long a receiver is left alone that has switched itself off."""

_SECRET = {"type": "string", "minLength": 1, "writeOnly": True}
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
# RFC 9110 §5.1 and §5.5, without the latter's obsolete bytes above ASCII.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?")

CONFLICTS = frozenset({409, 423, 424})
"""Conflict, Locked, Failed Dependency: the receiver's state is in the way, not the event."""


class Webhook(Destination):
    """The body is the event as it was accepted; `webhook-id` is the same at every attempt.

    Without a secret the requests are unsigned, and the receiver cannot tell who sent them.
    """

    type_name = "webhook"
    display_name = "Webhook"
    maps_events = False
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "url": {
                "description": "Where to post the events: http:// or https://.",
                "type": "string",
                "pattern": "^https?://",
            },
            "secret": {
                "description": "Signs the requests: `whsec_` and base64, or any text. A list, "
                "newest first, signs with each of them while the receiver changes over.",
                "oneOf": [_SECRET, {"type": "array", "items": _SECRET, "minItems": 1}],
                "writeOnly": True,
            },
            "headers": {
                "description": "More headers for each request, such as an authorization.",
                "type": "object",
                "additionalProperties": {"type": "string"},
                "default": {},
                "writeOnly": True,
            },
            "timeout_seconds": {
                "description": "How long one request may take, from connecting to the last byte.",
                "type": "number",
                "minimum": 0.1,
                "maximum": 60,
                "default": 10,
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    def __init__(
        self, name: str, settings: Mapping[str, Any], *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name, settings)
        self._clock = clock
        self._secrets = _secrets(settings)
        self._http = HttpSender(timeout_seconds=settings["timeout_seconds"])

    def check(self) -> list[str]:
        return [
            *_url_problems(self.settings["url"]),
            *(
                f"secret: {problem}"
                for secret in self._secrets
                if (problem := secret_problem(secret))
            ),
            *_header_problems(self.settings["headers"]),
        ]

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        return [self._send(delivery) for delivery in deliveries]

    def close(self) -> None:
        self._http.close()

    def _send(self, delivery: Delivery) -> Outcome:
        now = self._clock()
        signed = signed_headers(f"msg_{delivery.key}", int(now), delivery.body, self._secrets)
        headers = {**self.settings["headers"], "Content-Type": "application/json", **signed}
        answer = self._http.post(self.settings["url"], data=delivery.body, headers=headers)
        if isinstance(answer, Answer) and answer.status == HTTPStatus.GONE:
            # It says: never again. The events are kept until the operator has looked into it.
            reason = "HTTP 410: the receiver has switched itself off"
            return Retry(reason, after_seconds=GONE_RETRY_SECONDS, misconfigured=True)
        if isinstance(answer, Answer) and answer.status in CONFLICTS:
            after = retry_after_seconds(answer.headers.get("Retry-After"), now)
            return Retry(f"HTTP {answer.status}", after_seconds=after)
        return outcome_of(answer, now=now)


def _secrets(settings: Mapping[str, Any]) -> Sequence[str]:
    secret = settings.get("secret", [])
    return [secret] if isinstance(secret, str) else secret


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:  # its text holds the URL
        return ["url: this is not a URL; such as https://example.com/hook is"]
    if not host:
        return ["url: it names no host"]
    if "@" in parts.netloc:
        return ["url: a password in a URL is shown in logs; put it into headers.Authorization"]
    return []


def _header_problems(headers: Mapping[str, str]) -> list[str]:
    problems = []
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            problems.append(f"headers: {name!r} is no header name")
        elif name.lower() in _OURS:
            problems.append(f"headers: {name} is set by the webhook itself")
        elif not _HEADER_VALUE.fullmatch(value):
            problems.append(f"headers.{name}: only printable ASCII, no space around it")
    return problems
