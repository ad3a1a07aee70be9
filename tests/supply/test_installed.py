"""The wheel in an environment of its own, far from the checkout: does all of it work?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supply.distribution import Distribution, environment
from tests.system.service import CHECKOUT, Service

# Without what this run may have set for Python, the service or gunicorn.
ENVIRON = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, distribution: Distribution) -> Path:
    return environment(tmp_path_factory.mktemp("environment"), distribution.wheel)


@pytest.fixture
def run(programs: Path, tmp_path: Path):
    """What a program of the environment said, in an empty folder; it must be successful."""

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=tmp_path,
            env=ENVIRON,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def installed(programs: Path, tmp_path: Path, run) -> Iterator[Service]:
    """The service, configured and started as somebody would who has just installed it."""
    run("segmentstream-api", "init")
    configuration = tmp_path / "segmentstream.toml"
    text = configuration.read_text("utf-8")
    floor = "[store]\ndisk_floor_megabytes = 1\n"  # the disk of a test may be nearly full
    configuration.write_text(text.replace("[store]\n", floor), "utf-8")
    service = Service(tmp_path)
    with service.log.open("wb") as log, (tmp_path / "output").open("wb") as output:
        service.process = subprocess.Popen(
            [programs / "segmentstream-api", "serve", "--bind", f"127.0.0.1:{service.port}"],
            cwd=tmp_path,
            env=ENVIRON,
            stdout=output,
            stderr=log,
            start_new_session=True,
        )
    service.wait_until_ready(60)
    yield service
    service.kill_everything()


def test_nothing_of_it_is_the_checkout(programs: Path, run):
    script = (
        "import json, sys, segmentstream_api;"
        "print(json.dumps([segmentstream_api.__file__, *sys.path]))"
    )
    for place in json.loads(run("python", "-c", script)):
        assert not Path(place).is_relative_to(CHECKOUT), place


def test_what_it_needs_is_declared_and_agrees(programs: Path, tmp_path: Path):
    command = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(programs.parent.glob("lib/*/site-packages/falcon")) != []
    assert list(programs.parent.glob("lib/*/site-packages/pytest")) == []


def test_an_event_is_accepted_and_kept(installed: Service, tmp_path: Path):
    token = (tmp_path / "segmentstream.token").read_text().strip()
    document = {"hitId": "h-1", "event": {"name": "Registered", "user": {"userId": "u-1"}}}
    assert installed.post(document, token=token) == 204
    deadline = time.monotonic() + 60
    while not (tmp_path / "events.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert '"h-1"' in (tmp_path / "events.jsonl").read_text()
    assert installed.post({"event": {}}, token=token) == 400


def test_the_reference_is_answered(installed: Service):
    assert b"<html" in installed.request("GET", "/docs")[2].lower()
    status, _, body = installed.request("GET", "/openapi.json")
    assert (status, "/track" in json.loads(body)["paths"]) == (200, True)
    assert installed.request("GET", "/schemas/track.json")[0] == 200


def test_gunicorn_runs_with_the_settings_of_the_wheel(installed: Service, tmp_path: Path):
    assert "Post an event" in (tmp_path / "output").read_text()  # which a hook in the settings says


def test_documents_are_validated(run, tmp_path: Path):
    cases = CHECKOUT / "tests" / "cases" / "track" / "valid" / "documented-example.json"
    document = json.loads(cases.read_text("utf-8"))["document"]
    (tmp_path / "document.json").write_text(json.dumps(document))
    assert run("segmentstream-api", "validate", "document.json") == "1 document: all valid\n"


def test_every_destination_is_known(run):
    said = run("segmentstream-api", "destinations")
    for page in (CHECKOUT / "docs" / "destinations").glob("*.md"):
        assert page.stem in said
