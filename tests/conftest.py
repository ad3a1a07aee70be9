"""Options of the whole suite, and what a skip means in CI."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the system tests at their full counts"
    )


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
