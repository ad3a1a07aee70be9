"""The first minute: a checkout where nothing is installed, and one command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.service import CHECKOUT, end, free_port, kill

LEFT_BEHIND = (".venv*", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
OWN = ("segmentstream.toml", "segmentstream.token", "*.db*", "*.egg-info", "benchmark-*")
INSTALL_TIMEOUT_SECONDS = 240


@dataclass
class Running:
    """script/server in a fresh copy of the checkout, and what it has said so far."""

    checkout: Path
    process: subprocess.Popen[bytes]
    output: Path

    def wait_for_the_greeting(self, timeout_seconds: float) -> str:
        """The line to paste. Skips where packages cannot be fetched."""
        deadline = time.monotonic() + timeout_seconds
        while not (found := re.search(r"^ *(curl .*)$", self.output.read_text(), re.MULTILINE)):
            said = self.output.read_text()
            if "pip cannot reach the package index" in said:
                pytest.skip("needs the package index, and pip cannot reach it")
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return found[1]


def start(checkout: Path, output: Path, port: int) -> Running:
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["./script/server", "--bind", f"127.0.0.1:{port}"],
            cwd=checkout,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if "SEGMENTSTREAM" not in key},
        )
    return Running(checkout, process, output)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "check out"  # a space, as people have them
    return shutil.copytree(CHECKOUT, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND, *OWN))


@pytest.fixture(scope="module")
def running(checkout: Path) -> Iterator[Running]:
    port = free_port()
    first = start(checkout, checkout.parent / "first", port)
    try:
        yield first
    finally:
        kill(first.process)


def paste(line: str) -> str:
    run = subprocess.run(
        ["bash", "-c", line], check=True, capture_output=True, text=True, timeout=60
    )
    return run.stdout


def test_one_command_installs_configures_and_starts_the_service(running: Running) -> None:
    line = running.wait_for_the_greeting(INSTALL_TIMEOUT_SECONDS)
    assert "HTTP/1.1 204" in paste(line)
    assert '"hello-1"' in (running.checkout / "events.jsonl").read_text()


def test_the_second_start_installs_nothing_and_keeps_the_token(running: Running) -> None:
    line = running.wait_for_the_greeting(INSTALL_TIMEOUT_SECONDS)
    assert end(running.process) == 0
    (port,) = re.findall(r":(\d+)/track", line)
    second = start(running.checkout, running.checkout.parent / "second", int(port))
    try:
        assert second.wait_for_the_greeting(60) == line
        assert "Installing" not in second.output.read_text()
    finally:
        end(second.process)
