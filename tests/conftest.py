"""Options of the whole suite, and what a skip means in CI."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from urllib.parse import urlsplit

import pytest

from tests.optional import missing, require
from tests.supply.distribution import Distribution, build, built


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the system tests at their full counts"
    )
    parser.addoption(
        "--part",
        choices=["parallel", "serial"],
        help="run only the tests without, or with, the marker serial",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of the part that was asked for; script/test runs one after the other."""
    part = config.getoption("--part")
    if part is None:
        return
    serial = part == "serial"
    others = [item for item in items if bool(item.get_closest_marker("serial")) != serial]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if bool(item.get_closest_marker("serial")) == serial]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a program that is not installed is a failure: a skip would never be noticed.

    Such a skip says `needs … (the package NAME)`.
    """
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and "(the package " in str(call.excinfo):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """The sdist and the wheels, built once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "distribution"
    folder.mkdir(exist_ok=True)
    with (folder.parent / "distribution.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.parent / "distribution.done"
        if done.exists():
            return built(folder)
        distribution = build(folder)
        done.touch()
        return distribution


@pytest.fixture(scope="session")
def postgresql() -> Iterator[object]:
    """A running PostgreSQL server: `postgresql_server.Server`."""
    require("psycopg")
    from tests.postgresql_server import (  # noqa: PLC0415 - needs psycopg
        Server,
        missing_for_a_server,
    )

    lack = missing_for_a_server()
    if lack:
        missing(lack)
    with Server() as server:
        yield server


@pytest.fixture
def empty_database(request: pytest.FixtureRequest) -> str:
    """The connection string of a database with no store in it.

    On the server of SEGMENTSTREAM_TEST_POSTGRESQL (a URL whose role may make databases), if that
    is set, else on one of our own.
    """
    url = os.environ.get("SEGMENTSTREAM_TEST_POSTGRESQL")
    if not url:
        url = request.getfixturevalue("postgresql").url
    import psycopg  # noqa: PLC0415 - needs the extra

    name = "empty_" + os.environ.get("PYTEST_XDIST_WORKER", "one")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return urlsplit(url)._replace(path=f"/{name}").geturl()
