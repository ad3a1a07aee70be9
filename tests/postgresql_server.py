"""A PostgreSQL server of its own in a temporary folder, from Debian's packages or any others."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg

PASSWORD = "the-password-of-postgresql"
_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = "postgres"  # the server refuses to run as root


def missing_for_a_server() -> str | None:
    """What keeps this machine from running one, None if nothing does."""
    if _programs() is None:
        return "needs a PostgreSQL server (the package postgresql)"
    if os.geteuid() == 0 and _user() is None:
        return f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED}"
    return None


class Server:
    """A context manager. It listens on 127.0.0.1 and on a socket in its folder.

    `fsync` is for what stops the whole machine, or measures; a crash of the server needs none.
    """

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"
        self._folder = tempfile.TemporaryDirectory(prefix="pg-")
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        root = Path(self._folder.name)
        (root / "password").write_text(PASSWORD)
        user = _user()
        if user is not None:
            for path in (root, root / "password"):
                os.chown(path, user.pw_uid, user.pw_gid)
        self._run("initdb", "-A", "scram-sha-256", "-U", "postgres", "-E", "UTF8", "--locale=C")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def dsn(self, database: str = "postgres", **more: object) -> str:
        """A connection string; over the socket in its folder if `host` says so."""
        parts = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "postgres",
            "password": PASSWORD,
            "dbname": database,
            **more,
        }
        return " ".join(f"{name}={value}" for name, value in parts.items())

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """Of the main process."""
        assert self._process is not None
        return self._process.pid

    @property
    def socket_folder(self) -> str:
        return self._folder.name

    def query(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Returns when it answers."""
        options = ["-k", self._folder.name, "-p", str(self.port), "-c", f"fsync={self._fsync}"]
        command = [self._program("postgres"), "-D", f"{self._folder.name}/data", *options]
        with (Path(self._folder.name) / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, **self._as_user())
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.query("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((Path(self._folder.name) / "log").read_text()[-2000:])

    def stop(self, *, immediately: bool = False) -> None:
        """Its "fast shutdown"; or its "immediate" one, which is a crash that it recovers from."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        root = self._folder.name
        command = [self._program(program), "-D", f"{root}/data", f"--pwfile={root}/password"]
        subprocess.run(
            [*command, "-N", *arguments], check=True, capture_output=True, **self._as_user()
        )

    def _program(self, name: str) -> str:
        folder = _programs()
        assert folder is not None
        return str(folder / name)

    def _as_user(self) -> dict:
        user = _user()
        where = {"cwd": self._folder.name}
        return where if user is None else {**where, "user": user.pw_uid, "group": user.pw_gid}


def _programs() -> Path | None:
    """The folder of a server's programs: the newest of Debian's, or what is in PATH."""
    folders = sorted(_DEBIAN.glob("*/bin"), key=lambda each: float(each.parent.name))
    for folder in reversed(folders):
        if (folder / "postgres").exists():
            return folder
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found and shutil.which("initdb") else None


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as, None for this very user."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
