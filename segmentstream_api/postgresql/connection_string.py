"""Whether a connection string can be used at all. Asked while the configuration is read."""

from __future__ import annotations

from importlib.util import find_spec

MISSING = "needs the extra: pip install 'segmentstream-api[postgresql]'"
_NO_DSN = "is no connection string; such as postgresql://user@host/database is"


def problem_with(dsn: str) -> str | None:
    """What is wrong with it, without any part of it; or that psycopg is missing."""
    if find_spec("psycopg") is None:
        return MISSING
    try:
        from psycopg import ProgrammingError  # noqa: PLC0415 - needs the extra
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - as above
    except ImportError:  # psycopg is there, but not libpq, which the extra brings along
        return MISSING
    try:
        conninfo_to_dict(dsn)
    except ProgrammingError:  # its text holds a part of it
        return _NO_DSN
    return None
