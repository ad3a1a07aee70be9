"""Many clients at work at once."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from tests.system.checker import History
from tests.system.client import Client
from tests.system.service import TOKEN

MAX_RUN_SECONDS = 240.0


class Load:
    """A context manager: clients at work until its end, or until each has sent `events`.

    `hit_id(client, number)` names the events; by default every one is new.
    """

    def __init__(
        self,
        port: int,
        folder: Path,
        *,
        clients: int = 6,
        events: int | None = None,
        keep_alive: bool = True,
        pause_seconds: float = 0.0,
        padding_bytes: int = 0,
        token: str = TOKEN,
        tls: ssl.SSLContext | None = None,
        hit_id: Callable[[int, int], str] | None = None,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self._stopping = threading.Event()
        name = hit_id or (lambda client, number: f"hit-{folder.name}-{client}-{number}")

        def hit_ids(client: int) -> Iterator[str]:
            numbers = itertools.count() if events is None else range(events)
            return (name(client, number) for number in numbers)

        self.clients = [
            Client(
                port,
                folder / f"client-{client}.jsonl",
                hit_ids(client),
                self._stopping,
                keep_alive=keep_alive,
                pause_seconds=pause_seconds,
                padding_bytes=padding_bytes,
                token=token,
                tls=tls,
            )
            for client in range(clients)
        ]

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Until every client has ended."""
        deadline = time.monotonic() + MAX_RUN_SECONDS
        for client in self.clients:
            client.join(max(0.0, deadline - time.monotonic()))
            assert not client.is_alive(), "a client did not come to an end"
            assert client.defect is None, repr(client.defect)

    def history(self) -> History:
        return History.read(self.folder)


class Listening(Protocol):
    """The service, or what stands in front of it."""

    port: int


@contextmanager
def under_load(
    server: Listening, folder: Path, *, clients: int = 6, **options: Any
) -> Iterator[list[Path]]:
    """The folders of two loads: half of the clients keep their connections, half do not."""
    kept, new = folder / "kept", folder / "new"
    half = clients // 2
    with (
        Load(server.port, kept, clients=half, **options),
        Load(server.port, new, clients=clients - half, keep_alive=False, **options),
    ):
        yield [kept, new]


def post_all(port: int, folder: Path, hit_ids: Sequence[str], **options: Any) -> History:
    """Sends these events one after the other and returns when all were answered."""
    load = Load(
        port,
        folder,
        clients=1,
        events=len(hit_ids),
        hit_id=lambda _client, number: hit_ids[number],
        **options,
    )
    with load:
        load.wait()
    return load.history()
