"""JSON documents out of files: one in a `.json`, one on each line of a `.jsonl` or `.ndjson`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from segmentstream_api.errors import CommandError
from segmentstream_api.http.body import MAX_BODY_BYTES

STANDARD_INPUT = "-"
_ENOUGH_BYTES = MAX_BODY_BYTES + 1  # to see that a document is too large
_LINE_END = b"\r\n"
_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


@dataclass(frozen=True, slots=True)
class Document:
    """One that may be an event. A body that is too large is cut off, but not below the limit."""

    file: str
    line: int | None
    """From 1; None where the document is the whole file."""
    body: bytes
    taken_bytes: int
    """How far the file was read for it."""


def read_documents(names: Sequence[str]) -> Iterator[Document]:
    """The documents of these files in their order. Raises CommandError for one it cannot read.

    No more than one document is held in memory. Standard input, and a file whose name does not
    tell, is taken for JSON Lines if its first line is JSON by itself.
    """
    for name in names:
        try:
            with _opened(name) as stream:
                yield from _documents(name, stream)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}") from error


def files_in(names: Sequence[str]) -> list[str]:
    """The names with each folder replaced by the files of JSON and JSON Lines in it, sorted.

    Raises CommandError for a folder without any.
    """
    files = []
    for name in names:
        if name == STANDARD_INPUT or not Path(name).is_dir():
            files.append(name)
            continue
        inside = sorted(path for path in Path(name).rglob("*") if path.suffix in _SUFFIXES)
        if not inside:
            raise CommandError(f"{name} holds no file *.json, *.jsonl or *.ndjson")
        files += map(str, inside)
    return files


def total_bytes(names: Sequence[str]) -> int | None:
    """How many there are to read, None if that cannot be known."""
    paths = [Path(name) for name in names]
    if STANDARD_INPUT in names or not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def _opened(name: str) -> nullcontext[BinaryIO] | BinaryIO:
    return nullcontext(sys.stdin.buffer) if name == STANDARD_INPUT else Path(name).open("rb")


def _documents(name: str, stream: BinaryIO) -> Iterator[Document]:
    head = stream.read(_ENOUGH_BYTES)
    if not _is_lines(name, head):
        yield Document(name, None, head, len(head))
        return
    for number, (line, taken_bytes) in enumerate(_lines(head, stream), start=1):
        body = line.rstrip(_LINE_END)
        if body.strip():
            yield Document(name, number, body, taken_bytes)


def _is_lines(name: str, head: bytes) -> bool:
    suffix = Path(name).suffix
    if suffix in _SUFFIXES:
        return suffix != ".json"
    first, _, rest = head.strip().partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        # A first line that is broken in itself; pretty-printed JSON indents the second one.
        return first.startswith(b"{") and rest.startswith(b"{")
    return True


def _lines(head: bytes, stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line and its length in bytes; of a long line only its beginning is kept."""
    line, length = b"", 0
    for source in (io.BytesIO(head), stream):
        while piece := source.readline(_ENOUGH_BYTES):
            line = (line + piece)[: _ENOUGH_BYTES + len(_LINE_END)]
            length += len(piece)
            if piece.endswith(b"\n"):
                yield line, length
                line, length = b"", 0
    if line:
        yield line, length
