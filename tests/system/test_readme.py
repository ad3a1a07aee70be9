"""The README is true: its commands and examples are run as they stand there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.service import CHECKOUT, free_port

README = (CHECKOUT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CURL = [text for kind, text in BLOCKS if kind == "sh" and text.startswith("curl -i")]
COMMANDS = re.findall(r"^\| `segmentstream-api ([a-z-]+)", README, re.MULTILINE)


@dataclass
class Started:
    """A service that was started as the README says, with what it printed."""

    folder: Path
    port: int
    token: str
    greeting: str

    def run(self, script: str) -> str:
        """The output of a shell block that talks to the README's port."""
        script = script.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        run = subprocess.run(
            ["bash", "-euc", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "TOKEN": self.token},
        )
        return run.stdout

    def events(self) -> list[dict]:
        lines = (self.folder / "events.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]


def segmentstream_api(*arguments: str, folder: Path, **environ: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "segmentstream_api", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        timeout=60,
        env={**os.environ, **environ},
    )
    return run.stdout


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """What script/server does once everything is installed."""
    folder = tmp_path_factory.mktemp("readme")
    port = free_port()
    segmentstream_api("init", folder=folder)
    configuration = folder / "segmentstream.toml"
    text = configuration.read_text("utf-8")
    assert "[store]\n" in text
    floor = "[store]\ndisk_floor_megabytes = 1\n"  # the disk of a test may be nearly full
    configuration.write_text(text.replace("[store]\n", floor), "utf-8")
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "segmentstream_api", "serve", "--bind", f"127.0.0.1:{port}"],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SEGMENTSTREAM_LOG_FORMAT": "text"},  # as on a terminal
        )
    try:
        deadline = time.monotonic() + 30
        while "curl" not in output.read_text():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        token = (folder / "segmentstream.token").read_text().strip()
        yield Started(folder, port, token, output.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def test_the_greeting_is_ready_to_paste(started: Started) -> None:
    (line,) = re.findall(r"^ *(curl .*)$", started.greeting, re.MULTILINE)
    assert started.token in line
    assert "HTTP/1.1 204" in started.run(line)
    assert started.events()[-1]["hitId"] == "hello-1"


@pytest.mark.parametrize("number", range(len(CURL)))
def test_every_example_with_curl_is_acknowledged(started: Started, number: int) -> None:
    assert "HTTP/1.1 204" in started.run(CURL[number])


def test_the_documented_example_is_in_the_file_afterwards(started: Started) -> None:
    (example,) = (text for text in CURL if "4c59d330" in text)
    started.run(example)
    assert "4c59d330-35c7-11e9-8f27-8d1d7d4690e7" in {event["hitId"] for event in started.events()}


def test_the_example_of_a_mistake_gets_the_answer_that_is_shown(started: Started) -> None:
    (script,) = (text for kind, text in BLOCKS if kind == "sh" and text.startswith("curl -s"))
    (answer,) = (text for kind, text in BLOCKS if kind == "json")
    assert json.loads(started.run(script)) == json.loads(answer)


def test_the_example_of_a_configuration_is_one(tmp_path: Path) -> None:
    (toml,) = (text for kind, text in BLOCKS if kind == "toml")
    (tmp_path / "segmentstream.toml").write_text(f"{toml}\n[store]\ndisk_floor_megabytes = 1\n")
    checked = segmentstream_api("check", folder=tmp_path, CRM_WEBHOOK_SECRET="a" * 32)
    assert "crm" in checked


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_table_exists(command: str, tmp_path: Path) -> None:
    assert command in segmentstream_api(command, "--help", folder=tmp_path)


def test_every_page_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (CHECKOUT / link).exists()] == []


@pytest.mark.parametrize("script", ["server", "test"])
def test_the_two_commands_are_there_and_executable(script: str) -> None:
    assert f"./script/{script}" in README
    assert os.access(CHECKOUT / "script" / script, os.X_OK)
