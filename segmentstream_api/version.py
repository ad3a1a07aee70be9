"""The version of the service, as setup.cfg states it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """`dev` where the package is not installed but run from a checkout."""
    try:
        return version("segmentstream-api")
    except PackageNotFoundError:
        return "dev"
