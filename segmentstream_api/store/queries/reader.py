"""What the queries that all databases understand are asked of. Values are marked by `?`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Reader(Protocol):
    """A connection of the standard library's sqlite3 is one as it is."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Iterable[Any]:
        """The rows, each a tuple."""


def marks(count: int) -> str:
    """As many `?` with commas between them; at least one."""
    return "?" + ",?" * (count - 1)
