"""The store, for commands that look at what a service left in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from segmentstream_api.config import Settings
from segmentstream_api.store.base import Store
from segmentstream_api.store.factory import create_store


@contextmanager
def existing_store(settings: Settings) -> Iterator[Store | None]:
    """None where the service never ran: a store made here might belong to the wrong user."""
    store = create_store(settings)
    if not store.exists():
        yield None
        return
    with closing(store):
        yield store
