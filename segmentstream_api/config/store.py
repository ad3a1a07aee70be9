"""`store.url` → where the store is, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segmentstream_api.config.places import violations
from segmentstream_api.config.settings import StoreSettings
from segmentstream_api.config.toml_file import substituted
from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.errors import ConfigError, Problem
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


def store_at(url: str, *, called: str, environ: Mapping[str, str]) -> StoreSettings:
    """A store that a command names, as `store.url` would; its path is relative to where we are.

    Raises ConfigError, with no value in it; `called` is how the command calls the store.
    """
    problems: list[Problem] = []
    store = substituted({"url": url}, environ, (), problems)
    schema = load_schema("config.json")["properties"]["store"]
    problems += [] if problems else violations(schema, store, ())
    problems += [] if problems else check_store({"store": store})
    if problems:
        raise ConfigError(called, [Problem("the URL", problem.detail) for problem in problems])
    rules = schema["properties"].items()
    defaults = {name: rule["default"] for name, rule in rules if "default" in rule}
    return store_settings({**defaults, **store}, Path())


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
