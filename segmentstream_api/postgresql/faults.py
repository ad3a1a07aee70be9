"""What psycopg's exceptions mean, in words of our own.

Source of the codes: PostgreSQL, Appendix A, "Error Codes". No reason holds the server's words:
they quote rows and connection strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

_READ_ONLY = "25"  # invalid transaction state: a standby is read-only
_UNRESOLVED = "the host name could not be resolved"
# By the first two characters of the code.
_MISCONFIGURED = frozenset(
    {
        "0L",  # invalid grantor
        "0P",  # invalid role specification
        _READ_ONLY,
        "28",  # invalid authorization
        "3D",  # invalid catalog name: no such database
        "3F",  # invalid schema name
        "42",  # syntax error or access rule violation: no such table, no such column, no right
    }
)
# A connection that fails has no code, only words, in the language of the server's messages.
# In another language than English such a fault is tried again like any other.
_WORDS: Mapping[str, str] = {
    "failed to resolve host": _UNRESOLVED,
    "could not translate host name": _UNRESOLVED,
    "authentication failed": "the server refused the credentials",
    "no password supplied": "the server wants a password",
    "pg_hba.conf": "the server does not admit this user from this host",
    "certificate": "the TLS certificate was refused",
    "SSL was required": "the server does not support TLS",
    "does not exist": "the database or the role does not exist",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`misconfigured`: an operator has to mend it, unless it `may_pass` by itself all the same.

    `unanswered`: what was asked for may have been done.
    """

    reason: str
    misconfigured: bool = False
    may_pass: bool = False
    unanswered: bool = False


def fault_of(error: psycopg.Error) -> Fault:
    if error.sqlstate is not None:
        return Fault(
            f"{type(error).__name__} (SQLSTATE {error.sqlstate})",
            misconfigured=error.sqlstate[:2] in _MISCONFIGURED,
            may_pass=error.sqlstate[:2] == _READ_ONLY,
        )
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return Fault("could not connect in time")
    text = str(error)
    for words, reason in _WORDS.items():
        if words in text:
            return Fault(reason, misconfigured=True, may_pass=reason == _UNRESOLVED)
    if text.startswith("connection "):
        return Fault("could not connect")
    return Fault("the connection was lost", unanswered=True)
