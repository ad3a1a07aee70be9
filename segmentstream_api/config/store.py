"""`store.url` → where the store is, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segmentstream_api.config.settings import StoreSettings
from segmentstream_api.errors import Problem
from segmentstream_api.postgresql.connection_string import problem_with

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")


def check_store(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What the schema cannot find out."""
    store = document.get("store")
    url = store.get("url") if isinstance(store, dict) else None
    if isinstance(url, str) and url.startswith(_POSTGRESQL):
        problem = problem_with(url)
        if problem is not None:
            yield Problem("store.url", problem)


def store_settings(store: Mapping[str, Any], folder: Path) -> StoreSettings:
    """`store` has its defaults filled in."""
    url: str = store["url"]
    floor = store.get("disk_floor_megabytes")
    return StoreSettings(
        path=folder / url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else folder,
        dedup_window_seconds=store["dedup_window_hours"] * 3600,
        disk_floor_bytes=None if floor is None else int(floor * 1024 * 1024),
        dsn=url if url.startswith(_POSTGRESQL) else None,
    )
