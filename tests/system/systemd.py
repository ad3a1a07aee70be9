"""What systemd does with the units in deploy/, done by hand: for machines where it is not running.

It holds the sockets that segmentstream-api.socket names and starts the command that the service's
unit names, with the paths of the test and the environment of the unit.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.system.service import CHECKOUT, Service

UNITS = CHECKOUT / "deploy"
INSTALLED = "/opt/segmentstream-api/bin"
STATE = "/var/lib/segmentstream-api"

# As sd_listen_fds(3) says: the sockets are descriptors 3, 4 … of the process in LISTEN_PID.
_ACTIVATE = """
import fcntl, os, sys
sockets = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in sys.argv[1].split(",")]
for number, each in enumerate(sockets):
    os.dup2(each, 3 + number)
    os.close(each)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def values(unit: str, key: str) -> list[str]:
    """Of every line `key=value` in the unit."""
    text = (UNITS / unit).read_text("utf-8")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def command(unit: str, paths: Mapping[str, str]) -> list[str]:
    """The words of ExecStart, each path in `paths` replaced."""
    (line,) = values(unit, "ExecStart")
    for path, replacement in paths.items():
        assert path in line
        line = line.replace(path, replacement)
    return shlex.split(line)


class Activated(Service):
    """The service as its unit starts it, with sockets that outlive it.

    `path` is the unix socket for nginx; the port is that of the second socket.
    """

    def __init__(
        self,
        folder: Path,
        path: Path,
        *,
        installed: Path | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """`under` is a command that the unit's own is given to."""
        super().__init__(folder)
        self._under = tuple(under)
        self._installed = installed or Path(sys.executable).parent
        for assignment in values("segmentstream-api.service", "Environment"):
            name, _, value = assignment.partition("=")
            self.environ[name] = value
        places = {
            "/run/segmentstream-api.sock": str(path),
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
        }
        listen = values("segmentstream-api.socket", "ListenStream")
        (backlog,) = values("segmentstream-api.socket", "Backlog")
        self._sockets = [listener(places[place], int(backlog)) for place in listen]

    def _gunicorn(self, *arguments: str) -> subprocess.Popen[bytes]:
        paths = {INSTALLED: str(self._installed), STATE: str(self.folder)}
        words = [*self._under, *command("segmentstream-api.service", paths), *arguments]
        numbers = [each.fileno() for each in self._sockets]
        return self._process("-c", _ACTIVATE, ",".join(map(str, numbers)), *words, pass_fds=numbers)

    def kill_everything(self) -> None:
        for each in self._sockets:
            each.close()
        super().kill_everything()


def listener(place: str, backlog: int) -> socket.socket:
    host, _, port = place.rpartition(":")
    if host:
        return socket.create_server((host, int(port)), backlog=backlog)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen(backlog)
    return listening


def every_unit() -> Iterable[Path]:
    return sorted([*UNITS.glob("*.service"), *UNITS.glob("*.socket")])
