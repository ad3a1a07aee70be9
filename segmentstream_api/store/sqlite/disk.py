"""How much is free where the store lies, and how little is too little."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from segmentstream_api.errors import StoreUnavailable

_MINIMUM_FLOOR_BYTES = 512 * 1024 * 1024
_FLOOR_SHARE = 0.05


def require_space(folder: Path, floor_bytes: int | None) -> None:
    """Raises StoreUnavailable while less than the floor is free, before the disk is full.

    Settling needs space too, so the floor leaves some: 512 MB or 5 % if it is None.
    """
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise StoreUnavailable(f"the store's folder is gone: {error.strerror}") from error
    free_bytes = disk.f_bavail * disk.f_frsize
    if floor_bytes is None:
        share = int(disk.f_blocks * disk.f_frsize * _FLOOR_SHARE)
        floor_bytes = max(_MINIMUM_FLOOR_BYTES, share)
    if free_bytes < floor_bytes:
        raise StoreUnavailable(
            f"the disk of the store has {free_bytes >> 20} MB free, "
            f"under its floor of {floor_bytes >> 20} MB",
            retry_after_seconds=10,
            finding="disk_floor",
        )


def free_space(path: Path) -> str:
    """For people: how much is free where `path` lies."""
    usage = shutil.disk_usage(path.parent)
    return f"{usage.free >> 20} MB of {usage.total >> 20} MB free"
