"""What psycopg's exceptions mean for a row. Used by `postgresql_client.py`."""

from __future__ import annotations

import psycopg

from segmentstream_api.destinations.base import Rejected, Retry
from segmentstream_api.postgresql.faults import fault_of

# By the first two characters of the code. Every other class is tried again.
_REFUSED = frozenset(
    {
        "22",  # data exception
        "23",  # integrity constraint violation
        "44",  # WITH CHECK OPTION violation
        "54",  # program limit exceeded: a row too large for an index
        "P0",  # raised by a trigger
    }
)
_HINTS = {
    "42P01": "; `segmentstream-api destinations setup` makes the table",
    "42P10": "; the table needs a primary key or a unique index on `key`",
}


def outcome_of(error: psycopg.Error) -> Retry | Rejected:
    fault = fault_of(error)
    if error.sqlstate is None and isinstance(error, psycopg.DataError):
        return Rejected("psycopg could not convert a value (DataError)")
    if error.sqlstate is not None and error.sqlstate[:2] in _REFUSED:
        return Rejected(fault.reason)
    hint = _HINTS.get(error.sqlstate or "", "")
    return Retry(
        fault.reason + hint, misconfigured=fault.misconfigured, unanswered=fault.unanswered
    )
