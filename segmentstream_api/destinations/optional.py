"""What destinations share whose library comes with an extra: Kafka, PostgreSQL and BigQuery.

Their classes are always there, so that a configuration can be read and explained without the
library. All that needs it is in a client, in a module of its own: imported and made when the first
event is sent, in the process that sends it, because threads and connections do not survive a fork.
"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

from segmentstream_api.destinations.base import Delivery, Destination, Outcome, Retry
from segmentstream_api.errors import DestinationUnusable


class Client(Protocol):
    """The part of a destination that needs the library. For several threads at once."""

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """As `Destination.send`."""

    def setup(self) -> str:
        """As `Destination.setup`."""

    def close(self) -> None:
        """As `Destination.close`."""


class ExtraDestination(Destination):
    """`extra` is what to install, `library` the module that must then be there."""

    extra: ClassVar[str]
    library: ClassVar[str]

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self._turn = threading.Lock()
        self._client: Client | None = None
        self._owner_pid = 0
        self._inherited: list[Client] = []

    @abstractmethod
    def make_client(self) -> Client:
        """Imports the library. Raises DestinationUnusable for settings that cannot work."""

    def check(self) -> list[str]:
        return [] if _is_installed(self.library) else [self.missing]

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        try:
            client = self._own_client()
        except DestinationUnusable as error:
            return [Retry(error.reason, misconfigured=True)] * len(deliveries)
        return client.send(deliveries)

    def setup(self) -> str:
        return self._own_client().setup()

    def close(self) -> None:
        with self._turn:
            client, self._client = self._client, None
        if client is not None and self._owner_pid == os.getpid():
            client.close()
        elif client is not None:
            self._inherited.append(client)

    def _own_client(self) -> Client:
        with self._turn:
            if self._client is not None and self._owner_pid != os.getpid():
                # To close it here, or to let go of it, may wait for threads that only the parent
                # has.
                self._inherited.append(self._client)
                self._client = None
            if self._client is None:
                try:
                    self._client = self.make_client()
                except ImportError as error:
                    raise DestinationUnusable(self.missing) from error
                self._owner_pid = os.getpid()
            return self._client

    @property
    def missing(self) -> str:
        """What to say where the library is missing."""
        return f"needs the extra: pip install 'segmentstream-api[{self.extra}]'"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
