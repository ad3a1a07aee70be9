"""What psycopg's exceptions mean for a row. Used by `postgresql_client.py`.

Source of the codes: PostgreSQL, Appendix A, "Error Codes". No reason holds the server's words:
they quote rows and connection strings.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from segmentstream_api.destinations.base import Rejected, Retry

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
_MISCONFIGURED = frozenset(
    {
        "0L",  # invalid grantor
        "0P",  # invalid role specification
        "25",  # invalid transaction state: a standby is read-only
        "28",  # invalid authorization
        "3D",  # invalid catalog name: no such database
        "3F",  # invalid schema name
        "42",  # syntax error or access rule violation: no such table, no such column, no right
    }
)
_HINTS = {
    "42P01": "; `segmentstream-api destinations setup` makes the table",
    "42P10": "; the table needs a primary key or a unique index on `key`",
}
# A connection that fails has no code, only words, in the language of the server's messages.
# In another language than English such a fault is tried again like any other.
_WORDS: Mapping[str, str] = {
    "failed to resolve host": "the host name could not be resolved",
    "could not translate host name": "the host name could not be resolved",
    "authentication failed": "the server refused the credentials",
    "no password supplied": "the server wants a password",
    "pg_hba.conf": "the server does not admit this user from this host",
    "certificate": "the TLS certificate was refused",
    "SSL was required": "the server does not support TLS",
    "does not exist": "the database or the role does not exist",
}


def outcome_of(error: psycopg.Error) -> Retry | Rejected:
    if error.sqlstate is None:
        return _without_code(error)
    group = error.sqlstate[:2]
    reason = f"{type(error).__name__} (SQLSTATE {error.sqlstate})"
    if group in _REFUSED:
        return Rejected(reason)
    reason += _HINTS.get(error.sqlstate, "")
    return Retry(reason, misconfigured=group in _MISCONFIGURED)


def _without_code(error: psycopg.Error) -> Retry | Rejected:
    if isinstance(error, psycopg.DataError):
        return Rejected("psycopg could not convert a value (DataError)")
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return Retry("could not connect in time")
    text = str(error)
    for words, reason in _WORDS.items():
        if words in text:
            return Retry(reason, misconfigured=True)
    if text.startswith("connection "):
        return Retry("could not connect")
    return Retry("the connection was lost", unanswered=True)
