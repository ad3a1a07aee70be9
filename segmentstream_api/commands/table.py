"""Tables and JSON on standard output. Nothing printed here can control the terminal."""

from __future__ import annotations

import json
import shutil
import textwrap
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from segmentstream_api.timestamps import format_instant

_GAP = "  "
_NARROWEST_LAST_COLUMN = 24  # below that the wrapped text is harder to read than a block


def printable(text: str) -> str:
    """The text with control, format and other invisible characters as JSON escapes them."""
    return "".join(
        each if each.isprintable() else json.dumps(each)[1:-1]  # `each` may be half a surrogate
        for each in text
    )


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def print_json(value: Any) -> None:
    """One JSON document, in ASCII."""
    print(json.dumps(value, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A line for each row, whose last cell may wrap; on a narrow terminal a block for each row.

    Without a terminal every row is one line, however long: `grep` and `awk` expect that.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(_columns, column)) for column in zip(titles, *cells, strict=True)]
    before_last = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    terminal = shutil.get_terminal_size((0, 0)).columns
    left = terminal - before_last
    if not terminal:
        _print_lines([titles, *cells], widths, widths[-1])
    elif left >= min(widths[-1], _NARROWEST_LAST_COLUMN):
        _print_lines([titles, *cells], widths, left)
    else:
        _print_blocks(titles, cells, terminal)


def _print_lines(
    rows: Sequence[Sequence[str]], widths: Sequence[int], last_column_width: int
) -> None:
    indent = " " * (sum(widths[:-1]) + len(_GAP) * (len(widths) - 1))
    for *cells, last in rows:
        start = "".join(
            cell + " " * (width - _columns(cell)) + _GAP
            for cell, width in zip(cells, widths, strict=False)
        )
        first, *others = textwrap.wrap(last, max(1, last_column_width)) or [""]
        print((start + first).rstrip())
        for other in others:
            print(indent + other)


def _print_blocks(
    titles: Sequence[str], rows: Sequence[Sequence[str]], terminal_columns: int
) -> None:
    for index, (name, *cells) in enumerate(rows):
        print("\n" * bool(index) + name)
        for title, cell in zip(titles[1:], cells, strict=True):
            line = f"  {title}: {cell}" if cell else f"  {title}:"
            print(textwrap.fill(line, max(20, terminal_columns), subsequent_indent="    "))


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes; East Asian wide characters take two."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def instant(unix_seconds: float) -> str:
    """ISO 8601 in UTC."""
    return format_instant(datetime.fromtimestamp(round(unix_seconds, 3), UTC))
