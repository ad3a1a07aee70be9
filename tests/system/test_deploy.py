"""What deploy/ holds besides nginx.conf: systemd's units and logrotate's configuration."""

from __future__ import annotations

import getpass
import grp
import gzip
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.system.checker import History, in_file, judge
from tests.system.client import event
from tests.system.load import under_load
from tests.system.outbox import drain, wait_until
from tests.system.receiver import Receiver
from tests.system.service import CHECKOUT, Service, end
from tests.system.systemd import INSTALLED, STATE, Activated, command, every_unit, values

LOGROTATE = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
ROTATIONS = 4


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze (the package systemd)"
)
def test_systemd_finds_no_mistake_in_the_units(tmp_path: Path) -> None:
    """The program is replaced by one that exists; that it starts, others test."""
    for unit in every_unit():
        text = unit.read_text("utf-8").replace(f"{INSTALLED}/segmentstream-api", "/bin/true")
        (tmp_path / unit.name).write_text(text, "utf-8")
    run = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = (run.stdout + run.stderr).splitlines()
    assert [line for line in said if "segmentstream-api" in line] == []  # others may have theirs
    assert run.returncode == 0


@pytest.mark.skipif(
    not (shutil.which("systemd-analyze") and find_library("seccomp")),
    reason="needs systemd-analyze and libseccomp (the package systemd)",
)
def test_the_system_calls_that_the_unit_allows_are_enough(
    receiver: Receiver, tmp_path: Path
) -> None:
    (allowed,) = values("segmentstream-api.service", "SystemCallFilter")
    under = (sys.executable, str(Path(__file__).with_name("syscalls.py")), allowed)
    service = Activated(tmp_path, tmp_path / "service.sock", under=under)
    service.configure(
        {"archive": {"type": "file", "path": "events.jsonl"}, "crm": receiver.as_webhook()}
    )
    try:
        service.start()
        assert service.process is not None
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)  # there is a filter
        for number in range(20):
            assert service.post(event(f"hit-{number}")) == 204
        service.reload()
        assert service.post(event("last")) == 204
        drain(service.store)
        assert service.stop() == 0
    finally:
        service.kill_everything()
    assert "Operation not permitted" not in service.log.read_text()
    assert len(list(in_file(tmp_path / "events.jsonl"))) == len(receiver.requests()) == 21


def test_the_service_takes_the_sockets_it_is_given_and_leaves_them_behind(tmp_path: Path) -> None:
    path = tmp_path / "service.sock"
    service = Activated(tmp_path, path)
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notifications.bind(str(tmp_path / "notify"))
    notifications.settimeout(20)
    service.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
    try:
        service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
        service.start()
        assert notifications.recv(4096).startswith(b"READY=1\n")  # Type=notify
        assert "Listening at: unix:" in service.log.read_text()
        assert service.post(event("a")) == 204
        assert service.stop() == 0
        assert path.is_socket()
        service.start()
        assert service.post(event("b")) == 204
        service.reload()
        assert service.post(event("c")) == 204
    finally:
        notifications.close()
        service.kill_everything()
    archived = in_file(tmp_path / "events.jsonl")
    assert [arrival.hit_id for arrival in archived] == ["a", "b", "c"]


def test_the_unit_for_redelivery_delivers(service: Service, receiver: Receiver) -> None:
    service.configure({"crm": {**receiver.as_webhook(), "timeout_seconds": 1.0}})
    receiver.answer = lambda _count: 503
    service.start()
    assert service.post(event("a")) == 204
    service.stop()
    receiver.answer = lambda _count: 204
    before = len(receiver.requests())
    words = command(
        "segmentstream-api-deliver.service",
        {INSTALLED: str(Path(sys.executable).parent), STATE: str(service.folder)},
    )
    with service.log.open("ab") as log:
        process = subprocess.Popen(words, env=service.environ, stdout=log, stderr=log)
    try:
        wait_until(lambda: len(receiver.requests()) > before, 40)
        process.send_signal(signal.SIGHUP)  # ExecReload
        wait_until(lambda: service.log.read_text().count("delivering as") == 2)
    finally:
        assert end(process) == 0


@pytest.mark.skipif(not LOGROTATE, reason="needs logrotate (the package logrotate)")
def test_rotation_under_load_loses_nothing(service: Service, tmp_path: Path) -> None:
    """No signal is sent: the service notices, at its next write, that the file was renamed."""
    service.configure({"archive": {"type": "file", "path": "events.jsonl", "mode": "0600"}})
    service.start()
    configuration = tmp_path / "logrotate.conf"
    text = (CHECKOUT / "deploy" / "logrotate.conf").read_text("utf-8")
    for line, replacement in {
        f"{STATE}/*.jsonl": f"{service.folder}/*.jsonl",
        "su segmentstream segmentstream": f"su {getpass.getuser()} {grp.getgrgid(os.getgid())[0]}",
    }.items():
        assert text.count(line) == 1
        text = text.replace(line, replacement)
    configuration.write_text(text, "utf-8")
    configuration.chmod(0o644)
    with under_load(service, tmp_path) as folders:
        for _ in range(ROTATIONS):
            time.sleep(1.1)  # the names differ by the second
            assert LOGROTATE is not None
            state = str(tmp_path / "state")
            subprocess.run(
                [LOGROTATE, "--force", "--state", state, str(configuration)], check=True, timeout=60
            )
        time.sleep(0.2)
    files = sorted(service.folder.glob("events.jsonl*"))
    assert len(files) == ROTATIONS + 1
    packed = [path for path in files if path.suffix == ".gz"]
    assert len(packed) == ROTATIONS - 1  # the last one is still as it was
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    together = tmp_path / "together.jsonl"
    together.write_bytes(
        b"".join(
            gzip.decompress(path.read_bytes()) if path in packed else path.read_bytes()
            for path in files
        )
    )
    history = History.read(*folders)
    assert set(history.outcomes()) == {204}
    judge(history, in_file(together)).require()
