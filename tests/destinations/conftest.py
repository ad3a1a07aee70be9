"""Fixtures of the destinations' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .optional import missing, require


@pytest.fixture(scope="session")
def postgresql() -> Iterator[object]:
    """A running PostgreSQL server: `postgresql_server.Server`."""
    require("psycopg")
    from .postgresql_server import (  # noqa: PLC0415 - needs psycopg
        Server,
        missing_for_a_server,
    )

    lack = missing_for_a_server()
    if lack:
        missing(lack)
    with Server() as server:
        yield server
