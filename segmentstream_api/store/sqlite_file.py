"""One SQLite database file: opened, locked, and watched so that it is never the wrong one.

All writing, opening and closing happens under `flock` on a file beside the database. That is a
fair queue where SQLite's own `busy_timeout` polls, and it keeps two processes from checkpointing
at once: https://sqlite.org/wal.html#walresetbug (3.7.0 to 3.51.2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from segmentstream_api.errors import StoreUnavailable, StoreUnusable

WAIT_FOR_LOCK_SECONDS = 5.0
_APPLICATION_ID = 0x53535452  # "SSTR": tells our files from any other SQLite database
_SCHEMA_VERSION = 1
_MINIMUM_FLOOR_BYTES = 512 * 1024 * 1024
_FLOOR_SHARE = 0.05
_PASSING_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_PASSING_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
_SHM_ON_A_FULL_DISK = sqlite3.SQLITE_IOERR_SHMSIZE

_SCHEMA = """
CREATE TABLE store (identity TEXT NOT NULL);
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: seen.event_id may outlive the row
    key BLOB NOT NULL, project TEXT NOT NULL, hit_id TEXT NOT NULL, name TEXT NOT NULL,
    received_ms INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE seen (
    key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, event_id INTEGER, expires_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX seen_by_expiry ON seen (expires_s);
CREATE TABLE outbox (
    event_id INTEGER NOT NULL, destination TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL, held INTEGER NOT NULL, written_ms INTEGER NOT NULL, reason TEXT,
    PRIMARY KEY (event_id, destination)
) WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox (destination, due_ms);
CREATE TABLE dead_letter (
    event_id INTEGER NOT NULL, destination TEXT NOT NULL, attempts INTEGER NOT NULL,
    died_ms INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (event_id, destination)
) WITHOUT ROWID;
CREATE INDEX dead_letter_by_death ON dead_letter (died_ms);
CREATE TABLE destination_state (
    destination TEXT PRIMARY KEY, breaker TEXT NOT NULL, since_ms INTEGER,
    last_error TEXT, last_error_ms INTEGER
) WITHOUT ROWID;
"""


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
                raise self._refusal(error) from error
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
                self._create_if_new()
                self._connect()
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            except (sqlite3.Error, OSError) as error:
                os.close(self._lock_fd)
                raise self._refusal(error) from error
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

    def require_space(self) -> None:
        """Raises StoreUnavailable while less than the floor is free, before the disk is full.

        Settling needs space too, so the floor leaves some: 512 MB or 5 % unless configured.
        """
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as error:
            raise StoreUnavailable(f"the store's folder is gone: {error.strerror}") from error
        free_bytes = disk.f_bavail * disk.f_frsize
        floor_bytes = self._floor_bytes
        if floor_bytes is None:
            share = int(disk.f_blocks * disk.f_frsize * _FLOOR_SHARE)
            floor_bytes = max(_MINIMUM_FLOOR_BYTES, share)
        if free_bytes < floor_bytes:
            raise StoreUnavailable(
                f"the disk of the store has {free_bytes >> 20} MB free, "
                f"under its floor of {floor_bytes >> 20} MB",
                retry_after_seconds=10,
            )

    def check_pages(self) -> None:
        """Reads every page. Raises StoreUnusable if the database is damaged."""
        with self._reading:
            self.open()
            try:
                verdict = self._reader.execute("PRAGMA quick_check(1)").fetchone()[0]
            except sqlite3.Error as error:
                raise self._refusal(error) from error
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
        """Builds a new database aside and renames it, so that no half-made one is ever seen."""
        if self.path.exists():
            return
        if self._was_here():
            raise StoreUnusable(
                str(self.path),
                "is gone, though it was here before. Put it back; or, to start with an empty "
                f"store, remove {self._lock_path.name} and {self._wal_path.name} beside it",
            )
        identity = uuid4().hex
        draft = self.path.with_name(self.path.name + ".new")
        draft.unlink(missing_ok=True)
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO store VALUES (?)", (identity,))
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        finally:
            connection.close()
        draft.chmod(0o600)
        draft.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._remember(identity)

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
        if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise StoreUnusable(str(self.path), "is a database of another program")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _SCHEMA_VERSION:
            raise StoreUnusable(
                str(self.path),
                f"has schema version {version}; this program needs {_SCHEMA_VERSION}",
            )
        identity = connection.execute("SELECT identity FROM store").fetchone()[0]
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
            raise StoreUnavailable(f"the store's file is gone: {error.strerror}") from error
        if (status.st_dev, status.st_ino) != self._inode:
            raise StoreUnavailable("the store's file was replaced; restart to use the new one")
        if status.st_size == 0:
            raise StoreUnavailable("the store's file was truncated")

    def _refusal(self, error: sqlite3.Error | OSError) -> StoreUnusable | StoreUnavailable:
        if isinstance(error, OSError):
            if error.errno in _PASSING_ERRNOS:
                return StoreUnavailable(f"the store cannot be opened: {error.strerror}")
            name = Path(str(error.filename or self.path)).name
            return StoreUnusable(str(self.path), f"cannot be opened: {error.strerror} ({name})")
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _PASSING_CODES or code == _SHM_ON_A_FULL_DISK:
            return StoreUnavailable(f"the store cannot be opened: {error}")
        size = f" ({self.path.stat().st_size} bytes)" if self.path.exists() else ""
        return StoreUnusable(str(self.path), f"{error}{size}")


def free_space(path: Path) -> str:
    """For people: how much is free where `path` lies."""
    usage = shutil.disk_usage(path.parent)
    return f"{usage.free >> 20} MB of {usage.total >> 20} MB free"
