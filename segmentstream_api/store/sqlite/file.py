"""One SQLite database file: opened, locked, and watched so that it is never the wrong one.

All writing, opening and closing happens under `flock` on a file beside the database. That is a
fair queue where SQLite's own `busy_timeout` polls, and it keeps two processes from checkpointing
at once: https://sqlite.org/wal.html#walresetbug (3.7.0 to 3.51.2).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segmentstream_api.errors import StoreUnavailable, StoreUnusable
from segmentstream_api.store.sqlite.disk import require_space
from segmentstream_api.store.sqlite.schema import create_database, identity_of, refusal

WAIT_FOR_LOCK_SECONDS = 5.0
_OPEN_BYTE = 128  # of the -shm file: after the eight locks that begin at 120


class SqliteFile:
    """The database file of one store, with a connection for writing and one for reading.

    Connections belong to the process that opened them. A child that inherits open ones cannot use
    the file at all: SQLite believes that it holds the parent's locks, so even a connection of its
    own would lose what it commits
    (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
    """

    def __init__(
        self,
        path: Path,
        *,
        floor_bytes: int | None = None,
        wait_for_lock_seconds: float = WAIT_FOR_LOCK_SECONDS,
    ) -> None:
        if path.is_symlink():
            # SQLite keeps the WAL beside the target. The lock file has to be there too, or a
            # process that opens the target itself would not be excluded.
            path = Path(os.path.realpath(path))  # unlike resolve(), it raises nothing for a circle
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._wal_path = path.with_name(path.name + "-wal")
        self._floor_bytes = floor_bytes
        self._wait_for_lock_seconds = wait_for_lock_seconds
        # flock excludes processes, these the threads of one. Taken in this order.
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._opening = threading.Lock()
        self._pid: int | None = None
        self._writer: sqlite3.Connection
        self._reader: sqlite3.Connection
        self._lock_fd: int
        self._inode: tuple[int, int]

    def exists(self) -> bool:
        """Whether there is a database, or was: then `open` does not create one."""
        return self.path.exists() or self._was_here()

    def open(self) -> None:
        """Opens the database, or creates it where there never was one.

        Raises StoreUnusable for a file that is damaged, replaced, gone or not ours, and
        StoreUnavailable for what may pass: it is locked, or the disk is full.
        """
        with self._opening:
            if self._pid == os.getpid():
                return
            if self._pid is not None:
                raise StoreUnusable(
                    str(self.path), "was open when this process was forked; open it afterwards"
                )
            try:
                self._lock_fd = os.open(
                    self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
                )
            except OSError as error:
                raise refusal(error, self.path) from error
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                self._create_if_new()
                self._connect()
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            except (sqlite3.Error, OSError) as error:
                os.close(self._lock_fd)
                raise refusal(error, self.path) from error
            except BaseException:
                os.close(self._lock_fd)
                raise
            self._pid = os.getpid()

    @contextmanager
    def writing(self, waited_seconds: float = 0.0) -> Iterator[sqlite3.Connection]:
        """A transaction that is durable when the block ends without an exception.

        It waits for others' as long as was configured, less what was waited already. Raises
        StoreUnavailable, and then nothing of it was kept.
        """
        deadline = time.monotonic() + self._wait_for_lock_seconds - waited_seconds
        with self._writing:
            self.open()
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                self._require_same_file()
                left_ms = max(0, int((deadline - time.monotonic()) * 1000))
                self._writer.execute(f"PRAGMA busy_timeout = {left_ms}")
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                raise StoreUnavailable(f"the store cannot be written: {error}") from error
            finally:
                with suppress(sqlite3.Error):  # then BEGIN fails next time, and this comes again
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one short query. Raises StoreUnavailable."""
        with self._reading:
            self.open()
            try:
                yield self._reader
            except sqlite3.Error as error:
                raise StoreUnavailable(f"the store cannot be read: {error}") from error

    def is_open_elsewhere(self) -> bool:
        """Whether another process has it open. To be asked while this one has not.

        Who has a database open in WAL mode holds a lock on one byte of its -shm file
        (https://sqlite.org/walformat.html#locks). To open that file beside a connection of our
        own would break its locks.
        """
        try:
            shm = os.open(f"{self.path}-shm", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refusal(error, self.path) from error
        try:
            fcntl.lockf(shm, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _OPEN_BYTE)
        except OSError:
            return True
        finally:
            os.close(shm)
        return False

    def require_makeable(self) -> None:
        """Raises StoreUnavailable or StoreUnusable where `open` could not create it."""
        self.require_space()
        folder = self.path.parent.absolute()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreUnusable(str(self.path), f"this user may not write in {folder}")

    def require_space(self) -> None:
        """Raises StoreUnavailable while less than the floor is free on its disk."""
        require_space(self.path.parent, self._floor_bytes)

    def check_pages(self) -> None:
        """Reads every page. Raises StoreUnusable if the database is damaged."""
        with self._reading:
            self.open()
            try:
                verdict = self._reader.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.Error as error:
                raise refusal(error, self.path) from error
        if verdict != "ok":
            raise StoreUnusable(str(self.path), f"is damaged: {verdict}")

    def close(self) -> None:
        with self._writing, self._reading, self._opening:
            if self._pid != os.getpid():
                return
            self._pid = None
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                self._reader.close()
                self._writer.close()  # the last one checkpoints, so this too is under the lock
            finally:
                os.close(self._lock_fd)

    def _create_if_new(self) -> None:
        if self.path.exists():
            return
        if self.path.is_symlink():
            raise StoreUnusable(str(self.path), "is a symbolic link that leads to no place")
        if self._was_here():
            raise StoreUnusable(
                str(self.path),
                "is gone, though it was here before. Put it back; or, to start with an empty "
                f"store, remove {self._lock_path.name} and {self._wal_path.name} beside it",
            )
        self._remember(create_database(self.path))

    def _was_here(self) -> bool:
        remembered = self._lock_path.exists() and self._lock_path.stat().st_size > 0
        return remembered or self._wal_path.exists()

    def _connect(self) -> None:
        status = self.path.stat()
        if status.st_size == 0:
            raise StoreUnusable(str(self.path), "is empty; it was truncated or never was a store")
        writer = self._connection()
        try:
            self._require_ours(writer)
            writer.execute("PRAGMA journal_mode = WAL")
            reader = self._connection()
        except BaseException:
            writer.close()
            raise
        self._inode = (status.st_dev, status.st_ino)
        self._writer, self._reader = writer, reader

    def _require_ours(self, connection: sqlite3.Connection) -> None:
        """Raises StoreUnusable, before anything is changed in it."""
        identity = identity_of(connection, self.path)
        expected = os.pread(self._lock_fd, 64, 0).decode("ascii", "replace")
        if expected and identity != expected:
            raise StoreUnusable(
                str(self.path),
                f"was replaced by another store. Put the right one back; or, if it is meant, "
                f"remove {self._lock_path.name} beside it",
            )
        if not expected:
            self._remember(identity)

    def _remember(self, identity: str) -> None:
        """In the lock file, which tells that there is a store here, and which one."""
        os.pwrite(self._lock_fd, identity.encode(), 0)
        os.fsync(self._lock_fd)

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self._wait_for_lock_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")  # a commit survives the loss of power
            connection.execute("PRAGMA cache_size = -16000")  # KB
        except BaseException:
            connection.close()
            raise
        return connection

    def _require_same_file(self) -> None:
        """A database that was moved away or replaced would swallow events without an error."""
        try:
            status = self.path.stat()
        except OSError as error:
            reason = f"the store's file is gone: {error.strerror}"
            raise StoreUnavailable(reason, finding=StoreUnusable.finding) from error
        if (status.st_dev, status.st_ino) != self._inode:
            reason = "the store's file was replaced; restart to use the new one"
            raise StoreUnavailable(reason, finding=StoreUnusable.finding)
        if status.st_size == 0:
            reason = "the store's file was truncated"
            raise StoreUnavailable(reason, finding=StoreUnusable.finding)
