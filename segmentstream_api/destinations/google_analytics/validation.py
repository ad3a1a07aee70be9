"""What Google's validation server says of an event. Called by `google_analytics.py`.

It takes the same request at another path, records nothing, and answers 200 with what is wrong.
Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events.
"""

from __future__ import annotations

import re
from typing import Any

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected, Retry
from segmentstream_api.destinations.mapping.envelope import mapping, text
from segmentstream_api.destinations.transport.json import json_object
from segmentstream_api.destinations.transport.sender import Answer, outcome_of

VALIDATION_PATH = "/debug/mp/collect"
STRICT = "ENFORCE_RECOMMENDATIONS"
"""`validation_behavior` that also names what Google would take in and then drop."""

_VALID = (
    "valid; nothing was recorded, and Google checks neither the measurement id nor the API secret "
    "of a trial"
)
_CODE = re.compile(r"[A-Z_]{1,40}")
_PATH = re.compile(r"[A-Za-z0-9_.\[\]]{1,80}")


def validated(answer: Answer | Retry | Rejected) -> tuple[Outcome, str]:
    """Delivered for an event without fault, and a sentence. Of messages, codes and places only."""
    outcome = answer if isinstance(answer, Rejected) else outcome_of(answer)
    if isinstance(answer, Answer) and isinstance(outcome, Delivered):
        outcome = _faults(json_object(answer).get("validationMessages"))
    if isinstance(outcome, Delivered):
        return outcome, _VALID
    verdict = "not valid" if isinstance(outcome, Rejected) else "not validated"
    return outcome, f"{verdict}: {outcome.reason}"


def _faults(messages: Any) -> Outcome:
    if not isinstance(messages, list):
        return Retry("the answer is not of Google's validation server")
    return Rejected("; ".join(map(_fault, messages))) if messages else Delivered()


def _fault(found: Any) -> str:
    message = mapping(found)
    code, path = text(message.get("validationCode")), text(message.get("fieldPath"))
    known_code = code if code and _CODE.fullmatch(code) else "a fault"
    return f"{known_code} at {path}" if path and _PATH.fullmatch(path) else known_code
