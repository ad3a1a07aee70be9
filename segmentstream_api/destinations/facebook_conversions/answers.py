"""What the Graph API's answers mean. Called by `destination.py`.

Sources: https://developers.facebook.com/docs/graph-api/guides/error-handling,
https://developers.facebook.com/docs/marketing-api/error-reference, and for the codes that neither
explains the open-source adapter of RudderStack, rudder-transformer. It gives up an event on an
expired token or a missing permission; here the event waits, for it is not at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected, Retry
from segmentstream_api.destinations.transport.json import json_object
from segmentstream_api.destinations.transport.sender import Answer, outcome_of

THROTTLED_RETRY_SECONDS = 60.0
"""Ours: how long a throttled pixel is left alone. Facebook counts calls by the hour, sliding."""

_THROTTLED = frozenset({4, 17, 32, 613})
_BUSINESS_THROTTLED = range(80000, 80015)  # Meta's limits for business use cases
_TRANSIENT = frozenset({1, 2, 341, 368, 5000, 21009})
# 3 and 10: no permission; 102 and 190: the token; 105: too many parameters for the operation, which
# is as little the event's own fault.
_MISCONFIGURED = frozenset({3, 10, 102, 105, 190})
_PERMISSIONS = range(200, 300)
_INVALID_PARAMETER = 100
_NO_SUCH_PIXEL = (_INVALID_PARAMETER, 33)  # it does not exist, or the token may not see it


def outcome_for(answer: Answer | Retry, count: int) -> Outcome:
    """What the answer to a request with `count` events means for all of them."""
    if isinstance(answer, Retry):
        return answer
    document = json_object(answer)
    error = document.get("error")
    if isinstance(error, dict):
        return _refused(answer, error)
    outcome = outcome_of(answer)
    if isinstance(outcome, Delivered):
        return _received(document.get("events_received"), count)
    if isinstance(outcome, Rejected):  # a proxy's page, say: Facebook gives a code
        return Retry(f"{outcome.reason} without an error code of Facebook's")
    return outcome


def _received(received: Any, count: int) -> Outcome:
    """Which events of several are missing is not said. All go again: Facebook knows their ids."""
    if not isinstance(received, int) or isinstance(received, bool):
        return Retry("the answer is not Facebook's")
    if received >= count:
        return Delivered()
    return Rejected(f"Facebook took {received} of {count} events and does not say why")


def _refused(answer: Answer, error: Mapping[str, Any]) -> Outcome:
    """By the codes. The texts are not told: they may hold what was sent."""
    code, subcode = _code(error, "code"), _code(error, "error_subcode")
    reason = f"HTTP {answer.status}, Facebook's error {code}"
    if subcode:
        reason += f", subcode {subcode}"
    if code in _MISCONFIGURED or code in _PERMISSIONS or (code, subcode) == _NO_SUCH_PIXEL:
        return Retry(f"{reason}: the access token or the settings", misconfigured=True)
    if code in _THROTTLED or code in _BUSINESS_THROTTLED:
        return Retry(f"{reason}: too many calls", after_seconds=THROTTLED_RETRY_SECONDS)
    if code in _TRANSIENT or error.get("is_transient") is True:
        return Retry(reason)
    outcome = outcome_of(answer)
    if isinstance(outcome, Retry) and code != _INVALID_PARAMETER:
        return Retry(reason, outcome.after_seconds, misconfigured=outcome.misconfigured)
    return Rejected(reason)


def _code(error: Mapping[str, Any], name: str) -> int:
    """0 if there is none."""
    code = error.get(name)
    return code if isinstance(code, int) and not isinstance(code, bool) else 0
