"""Which store there is for a place. Called by the service and by commands."""

from __future__ import annotations

from segmentstream_api.config import Settings, StoreSettings
from segmentstream_api.store.base import Store
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore


def create_store(settings: Settings) -> Store:
    """The configured one, not opened yet."""
    return store_for(
        settings.store,
        retry_for_seconds=settings.delivery.retry_for_seconds,
        dead_letters_for_seconds=settings.delivery.keep_dead_letters_seconds,
    )


def store_for(
    place: StoreSettings, *, retry_for_seconds: float, dead_letters_for_seconds: float
) -> Store:
    """The one at this place, not opened yet."""
    if place.dsn is None:
        return SqliteStore(
            SqliteFile(place.path, floor_bytes=place.disk_floor_bytes),
            dedup_window_seconds=place.dedup_window_seconds,
            retry_for_seconds=retry_for_seconds,
            dead_letters_for_seconds=dead_letters_for_seconds,
        )
    from segmentstream_api.store.postgresql.store import (  # noqa: PLC0415 - needs the extra
        PostgresqlStore,
    )

    return PostgresqlStore(
        place.dsn,
        dedup_window_seconds=place.dedup_window_seconds,
        retry_for_seconds=retry_for_seconds,
        dead_letters_for_seconds=dead_letters_for_seconds,
    )
