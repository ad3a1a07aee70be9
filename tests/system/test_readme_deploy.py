"""The README's "Deploy" is true: its commands are run, one after the other, on a clean folder.

What is replaced: system folders (`/etc`, `/opt`, `/var/lib`) lie in the test's own folder; sudo
runs the command without changing the user; install forgets about owners; apt-get, useradd and
systemctl only note what they were told, since the tests install nothing and systemd may not run.
Packages come from the environment of the tests instead of the network. What systemctl would start
is then started by the command in the unit, with the sockets of the other unit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.nginx import OPENSSL, PROGRAM, Nginx, needs_nginx
from tests.system.service import CHECKOUT
from tests.system.systemd import Activated

pytestmark = [
    needs_nginx,
    pytest.mark.skipif(not shutil.which("curl"), reason="needs curl (the package curl)"),
]

README = (CHECKOUT / "README.md").read_text("utf-8")
SECTION = README.partition("## Deploy\n")[2].partition("\n## ")[0]
INSTALL, TRY = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
SOURCES = ("segmentstream_api", "schemas", "deploy")
SYSTEM_FOLDERS = ("/etc/", "/opt/", "/var/lib/")
FOLDERS = (
    *("etc/systemd/system", "etc/logrotate.d", "etc/nginx/conf.d", "etc/ssl/private"),
    *("etc/ssl/certs", "opt", "var/lib"),
)
NOTED = ("apt-get", "useradd", "systemctl")

_SUDO = """\
#!/bin/sh
if [ "$1" = -u ]; then shift 2; fi
exec "$@"
"""
_INSTALL = """\
#!/bin/sh
[ "$1 $2 $3 $4 $5" = "-d -o segmentstream -g segmentstream" ] || exit 1
shift 5
exec {install} -d "$@"
"""


class Machine:
    """A folder that passes for a Debian; `told` is what was said to its system."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.checkout = folder / "checkout"
        self._programs = folder / "programs"
        self._notes = folder / "notes"
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        self.checkout.mkdir()
        for path in CHECKOUT.iterdir():  # a copy, for a build leaves files beside its sources
            if path.is_file():
                shutil.copy(path, self.checkout)
        for name in SOURCES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, self.checkout / name, ignore=ignored)
        self._programs.mkdir()
        self._program("sudo", _SUDO)
        self._program("install", _INSTALL.format(install=shutil.which("install")))
        self._program("python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        for name in NOTED:
            self._program(name, f'#!/bin/sh\necho "{name} $*" >> {self._notes}\n')

    def use(self, nginx: Nginx) -> None:
        self._program("nginx", f'#!/bin/sh\nexec {PROGRAM} -p {nginx.folder} -c nginx.conf "$@"\n')

    def run(self, script: str) -> str:
        for folder in SYSTEM_FOLDERS:
            script = re.sub(rf"(?<=[\s(]){folder}", f"{self.root}{folder}", script)
        run = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.checkout,
            env={
                **os.environ,
                "PATH": f"{self._programs}:{os.environ['PATH']}",
                "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert run.returncode == 0, f"{script}\n{run.stdout}{run.stderr}"
        return run.stdout

    def told(self) -> list[str]:
        return self._notes.read_text().splitlines()

    def lend_packages(self) -> None:
        """To its virtual environment, those of the tests, except the service itself."""
        lent = self.root.parent / "packages"
        lent.mkdir()
        for path in Path(pytest.__file__).parents[1].iterdir():
            if not re.match(r"pip\b|_*(editable_*)?segmentstream|.*\.pth$", path.name):
                (lent / path.name).symlink_to(path)
        (target,) = self.root.glob("opt/*/lib/python*/site-packages")
        # Before what venv has put there: its setuptools is an old one.
        (target / "lent.pth").write_text(f"import sys; sys.path.insert(1, {str(lent)!r})\n")

    def _program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    site = tmp_path / "root" / "etc" / "nginx" / "conf.d" / "segmentstream-api.conf"
    nginx = Nginx(tmp_path / "nginx", site=site)
    yield nginx
    nginx.stop()


@pytest.mark.timeout(300)
def test_the_commands_bring_up_a_service_that_answers_204(machine: Machine, nginx: Nginx) -> None:
    assert OPENSSL
    machine.use(nginx)
    for command in INSTALL.splitlines():
        if command == "sudo nginx -t":
            nginx.write()
        machine.run(command)
        if "-m venv" in command:
            machine.lend_packages()
    state = machine.root / "var" / "lib" / "segmentstream-api"
    installed = machine.root / "opt" / "segmentstream-api" / "bin"
    assert machine.told() == [
        "apt-get install -y nginx openssl python3-venv",
        "useradd --system --no-create-home segmentstream",
        "systemctl daemon-reload",
        "systemctl enable --now segmentstream-api.socket segmentstream-api.service",
        "systemctl reload nginx",
    ]
    for unit in ("service", "socket"):
        name = f"segmentstream-api.{unit}"
        copy = machine.root / "etc" / "systemd" / "system" / name
        assert copy.read_bytes() == (CHECKOUT / "deploy" / name).read_bytes()
    configuration = state / "segmentstream.toml"
    floor = "[store]\ndisk_floor_megabytes = 1\n"  # the disk of a test may be nearly full
    configuration.write_text(configuration.read_text("utf-8").replace("[store]\n", floor), "utf-8")

    service = Activated(state, nginx.upstream, installed=installed)
    try:
        service.start()
        nginx.start()
        answer = machine.run(TRY.replace("https://127.0.0.1/", f"https://127.0.0.1:{nginx.port}/"))
        assert "204" in answer.splitlines()[0]
        assert '"userId":"u-1"' in (state / "events.jsonl").read_text("utf-8").replace(" ", "")
        token = (state / "segmentstream.token").read_text().strip()
        assert token not in service.log.read_text()
        assert service.stop() == 0
    finally:
        service.kill_everything()


def test_the_section_says_where_to_read_on() -> None:
    assert "(docs/operations.md#deploy)" in SECTION
    operations = (CHECKOUT / "docs" / "operations.md").read_text("utf-8")
    assert "\n## Deploy\n" in operations
    for file in sorted((CHECKOUT / "deploy").glob("*.*")):
        if file.suffix in {".conf", ".service", ".socket"}:
            assert f"`deploy/{file.name}`" in operations
