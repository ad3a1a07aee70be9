"""What a test needs and a machine may not have. In CI its absence is a failure."""

from __future__ import annotations

import importlib
import os
from typing import NoReturn

import pytest


def require(module: str) -> None:
    """For the top of a test file: goes on only if the module is there."""
    if _in_ci():
        importlib.import_module(module)
    else:
        pytest.importorskip(module)


def missing(what: str) -> NoReturn:
    """Skips the test, saying what is missing."""
    if _in_ci():
        pytest.fail(what)
    pytest.skip(what)


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"
