"""What BigQuery's answers mean for a row. Used by `bigquery_client.py`.

Sources: https://cloud.google.com/bigquery/docs/errors (the reasons and their status codes) and
the reference of `tabledata.insertAll`. No reason of ours holds Google's words: they quote rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError
from requests.exceptions import InvalidJSONError, RequestException

from segmentstream_api.destinations.base import Delivered, Outcome, Rejected, Retry
from segmentstream_api.destinations.transport.failures import failure
from segmentstream_api.destinations.transport.sender import Answer, outcome_of

NOT_BIGQUERYS = (AttributeError, KeyError, TypeError, ValueError)
"""What the library raises when an answer is JSON of another form than the documented one."""

FOREIGN = (GoogleAPICallError, GoogleAuthError, RequestException, *NOT_BIGQUERYS)

_QUOTAS = frozenset({"quotaExceeded", "rateLimitExceeded"})
_REASON = re.compile(r"[A-Za-z]{1,40}")
# These are the table's fault: every row has all the columns, and the same ones.
_NO_SUCH_COLUMN = ("no such field", "missing required field")


def row_outcomes(errors: Sequence[Mapping[str, Any]], count: int) -> list[Outcome]:
    """One for each of `count` rows, of which `errors` names those that were not inserted."""
    outcomes: list[Outcome] = [Delivered()] * count
    for error in errors:
        outcomes[error["index"]] = _row_outcome(error["errors"])
    return outcomes


def failed(error: Exception, timeout_seconds: float) -> Retry | Rejected:
    """For all the rows of a request that came to nothing."""
    match error:
        case GoogleAPICallError():
            return _refused(error)
        case GoogleAuthError() if not isinstance(error, TransportError):
            refused = not getattr(error, "retryable", False)
            return Retry("Google gave no access token", misconfigured=refused)
        case GoogleAuthError() | RequestException() if not isinstance(error, InvalidJSONError):
            return failure(error, timeout_seconds)
    return Retry("the answer was not BigQuery's", unanswered=True)


def _refused(error: GoogleAPICallError) -> Retry | Rejected:
    """By the status as usual, with two exceptions.

    403 is a quota as well as a permission. And 400 is about the request as a whole, which no
    event can spoil (a row's faults come with 200): it is the table's, that is, the operator's.
    """
    status = int(error.code or 0)
    headers = getattr(error.response, "headers", {})
    reason = next((_word(each.get("reason")) for each in error.errors), "")
    said = f"HTTP {status} ({reason})" if reason else f"HTTP {status}"
    if status == HTTPStatus.FORBIDDEN and reason in _QUOTAS:
        status = HTTPStatus.TOO_MANY_REQUESTS
    match outcome_of(Answer(status, headers, b""), now=time.time()):
        case Rejected() if status == HTTPStatus.BAD_REQUEST:
            return Retry(said, misconfigured=True)
        case Rejected():
            return Rejected(said)
        case Retry(_, after_seconds, misconfigured):
            return Retry(said, after_seconds, misconfigured)
    return Retry(said)


def _row_outcome(errors: Sequence[Mapping[str, Any]]) -> Outcome:
    """`invalid` is the row's own fault; `stopped`, timeouts and the like are not."""
    for error in errors:
        if str(error.get("message")).lower().startswith(_NO_SUCH_COLUMN):
            return Retry("the table lacks a column, or has one too many", misconfigured=True)
    reasons = [_word(error.get("reason")) for error in errors]
    if "invalid" in reasons:
        return Rejected("BigQuery refused a value (invalid)")
    return Retry(f"BigQuery did not insert the row ({', '.join(filter(None, reasons))})")


def _word(reason: object) -> str:
    """The reason if it is one of the documented kind: a single word."""
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else ""
