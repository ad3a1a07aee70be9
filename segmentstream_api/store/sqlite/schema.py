"""What is in a database file of ours: its tables, how it is made, how it is known again."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from uuid import uuid4

from segmentstream_api.errors import StoreUnavailable, StoreUnusable

_APPLICATION_ID = 0x53535452  # "SSTR": tells our files from any other SQLite database
_SCHEMA_VERSION = 1
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


def create_database(path: Path) -> str:
    """A new, empty one at `path`; its identity. Made aside, so that no half-made one is seen."""
    identity = uuid4().hex
    draft = path.with_name(path.name + ".new")
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
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return identity


def rewrite_schema_version(connection: sqlite3.Connection) -> None:
    """A write like any other, which changes nothing."""
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def identity_of(connection: sqlite3.Connection, path: Path) -> str:
    """The identity of a database of ours. Raises StoreUnusable for any other; changes nothing."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise StoreUnusable(str(path), "is a database of another program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != _SCHEMA_VERSION:
        raise StoreUnusable(
            str(path), f"has schema version {version}; this program needs {_SCHEMA_VERSION}"
        )
    identity: str = connection.execute("SELECT identity FROM store").fetchone()[0]
    return identity


def refusal(error: sqlite3.Error | OSError, path: Path) -> StoreUnusable | StoreUnavailable:
    """Why the database cannot be opened: for good, or only now (locked, disk full)."""
    if isinstance(error, OSError):
        if error.errno in _PASSING_ERRNOS:
            return StoreUnavailable(f"the store cannot be opened: {error.strerror}")
        name = Path(str(error.filename or path)).name
        return StoreUnusable(str(path), f"cannot be opened: {error.strerror} ({name})")
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _PASSING_CODES or code == _SHM_ON_A_FULL_DISK:
        return StoreUnavailable(f"the store cannot be opened: {error}")
    size = f" ({path.stat().st_size} bytes)" if path.exists() else ""
    return StoreUnusable(str(path), f"{error}{size}")
