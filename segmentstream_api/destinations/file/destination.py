"""Appends each event as one line of JSON to a file, which several processes may share.

The file may be rotated by renaming or removing it (logrotate's default, with `delaycompress`).
Copying and then emptying it (`copytruncate`) loses what is written in between, as with every
program. A line that a crash has cut short stays, ended by a newline: readers skip it.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from segmentstream_api.destinations.base import (
    Delivered,
    Delivery,
    Destination,
    Outcome,
    Retry,
)
from segmentstream_api.destinations.file.append_file import AppendFile, fdatasync

# What waiting does not mend.
_MISCONFIGURED = frozenset(
    {
        errno.EACCES,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


class File(Destination):
    """`Delivered` means that the lines are on the disk (fdatasync), not in memory."""

    type_name = "file"
    display_name = "File"
    maps_events = False
    batch_size = 500
    local = True
    settings_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "path": {
                "description": "The file to append to; its folder must exist.",
                "type": "string",
                "format": "path",
                "minLength": 1,
            },
            "mode": {
                "description": "Octal permissions of a file that is created, less the umask.",
                "type": "string",
                "pattern": "^0?[0-7]{3}$",
                "default": "0640",
            },
        },
        "required": ["path"],
        "additionalProperties": False,
    }

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        sync: Callable[[int], object] = fdatasync,
    ) -> None:
        super().__init__(name, settings)
        self._path = Path(settings["path"])
        self._file = AppendFile(self._path, mode=int(settings["mode"], 8), sync=sync)
        self._turn = threading.Lock()

    def check(self) -> list[str]:
        try:
            return _problems(self._path)
        except OSError as error:
            return [f"path: {self._path}: {error.strerror}"]

    def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        lines = b"".join(delivery.body + b"\n" for delivery in deliveries)
        outcome: Outcome = Delivered()
        try:
            with self._turn:
                self._file.append(lines)
        except OSError as error:
            outcome = Retry(
                f"cannot write {self._path}: {error.strerror}",
                misconfigured=error.errno in _MISCONFIGURED,
            )
        return [outcome] * len(deliveries)

    def close(self) -> None:
        with self._turn:
            self._file.close()


def _problems(path: Path) -> list[str]:
    if not path.parent.is_dir():
        return [f"path: the folder {path.parent} does not exist"]
    if path.is_dir():
        return [f"path: {path} is a folder, not a file"]
    if path.exists():
        if not path.is_file():
            return [f"path: {path} is not a regular file"]
        writable = os.access(path, os.R_OK | os.W_OK)
    else:
        writable = os.access(path.parent, os.W_OK | os.X_OK)
    return [] if writable else [f"path: this user may not read and write {path}"]
