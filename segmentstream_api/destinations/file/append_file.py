"""A file to which several processes append whole lines durably. Used by `file.py`."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

# macOS has no fdatasync.
fdatasync: Callable[[int], object] = getattr(os, "fdatasync", os.fsync)


def sync_folder(folder: Path) -> None:
    """Makes the names in the folder durable.

    What cannot be done is left to the file system: a folder that this user may enter but not
    read, and those that take no fsync. PostgreSQL makes the same exceptions (fsync_fname_ext).
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EBADF, errno.EINVAL}:
            raise
    finally:
        os.close(descriptor)


class AppendFile:
    """Opened at the first append, so after the fork. For one thread at a time.

    A lock belongs to an opened file: processes that inherited one would not exclude each other.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: int,
        sync: Callable[[int], object] = fdatasync,
        sync_folder: Callable[[Path], object] = sync_folder,
    ) -> None:
        self._path = path
        self._mode = mode
        self._sync = sync
        self._sync_folder = sync_folder
        self._descriptor: int | None = None
        self._name_is_durable = False

    def append(self, lines: bytes) -> None:
        """Returns when the lines are on the disk, whole, at the end of the file.

        Raises OSError if they are not. Then the file is opened anew the next time: what a failed
        fdatasync has lost is not reported twice, so the old descriptor would pretend that all is
        well (the "fsyncgate" of 2018).
        """
        try:
            descriptor = self._write(lines)
            if not self._name_is_durable:
                self._sync_folder(self._path.resolve().parent)
                self._name_is_durable = True
            self._sync(descriptor)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _write(self, lines: bytes) -> int:
        """The lock is held for the write alone: several processes' syncs may run together."""
        descriptor = self._lock()
        try:
            size = os.fstat(descriptor).st_size
            # Somebody may have died in the middle of a line, by losing power or by kill -9.
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                lines = b"\n" + lines
            written = os.write(descriptor, lines)
            if written < len(lines):
                os.ftruncate(descriptor, size)
                raise OSError(
                    errno.ENOSPC, f"only {written} of {len(lines)} bytes could be written"
                )
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        return descriptor

    def _lock(self) -> int:
        """The descriptor, locked, of the file that bears the name now."""
        for _ in range(10):  # each turn is a rotation in the instant between opening and locking
            if self._descriptor is None:
                self._descriptor = self._open()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if self._bears_the_name(self._descriptor):
                return self._descriptor
            self.close()
        raise OSError(errno.EBUSY, "somebody keeps replacing the file")

    def _bears_the_name(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, self._mode)
        try:
            _require_regular(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._name_is_durable = False  # this may have created it
        return descriptor


def _require_regular(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
