"""Who sent a request: the address that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def peer(environ: Mapping[str, Any]) -> str | None:
    return environ.get("REMOTE_ADDR") or None
