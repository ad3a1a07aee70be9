"""The pytest plugin, found by its entry point: the fixture `tracking_api`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from segmentstream_api.mock.client import TrackingApi, running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "segmentstream_config",
        "the configuration whose projects and events the fixture tracking_api takes, relative to"
        " the root folder; without it there is one project that takes every valid event",
    )


@pytest.fixture(scope="session")
def tracking_api_server(pytestconfig: pytest.Config) -> Iterator[TrackingApi]:
    """The server behind `tracking_api`, started with the first test that asks for it."""
    config = pytestconfig.getini("segmentstream_config")
    options = ["--config", str(pytestconfig.rootpath / config)] if config else []
    with running(*options) as api:
        yield api


@pytest.fixture
def tracking_api(tracking_api_server: TrackingApi) -> TrackingApi:
    """A tracking API at `.url` with `.token`, that has seen nothing yet.

    `.accepted`, `.rejected` and `.assert_accepted(…)` tell what a tracker has sent it.
    """
    tracking_api_server.reset()
    return tracking_api_server
