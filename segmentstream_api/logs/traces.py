"""An exception without its text: texts quote rows, URLs, tokens, whatever was at hand."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

_MAX_FRAMES = 12  # of each exception; the innermost say where it happened


def kind(error: BaseException) -> str:
    """The name of its class, such as `sqlite3.OperationalError`."""
    cls = type(error)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


def trace(error: BaseException) -> list[str]:
    """Where it was raised, and where what caused it was, the first cause first."""
    lines: list[str] = []
    for each in reversed(list(_chain(error))):
        for frame in traceback.extract_tb(each.__traceback__)[-_MAX_FRAMES:]:
            file = "/".join(Path(frame.filename).parts[-2:])
            lines.append(f"{file}:{frame.lineno} {frame.name}")
        lines.append(kind(each))
    return lines


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
