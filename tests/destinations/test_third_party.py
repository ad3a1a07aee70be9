"""The example of docs/destinations.md, as it stands there: packaged, installed, tested and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segmentstream_api.testing import Peer, answer
from tests.system.service import DOCUMENTED_EXAMPLE, Service

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "destinations.md"
TIMEOUT_SECONDS = 120


def shown_files():
    """The files of the page: a name in backticks and a colon, and then the content."""
    page = PAGE.read_text("utf-8")
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))


def run(*command, **environ):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acme")
    for name, content in shown_files().items():
        (folder / name).write_text(content, "utf-8")
    return folder


@pytest.fixture(scope="module")
def path(project, tmp_path_factory):
    """What PYTHONPATH must be to find the installed example, and this package."""
    target = tmp_path_factory.mktemp("site-packages")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run("pip", "install", *options, "--target", str(target), str(project))
    return f"{target}{os.pathsep}{CHECKOUT}"


def test_the_page_shows_the_class_its_package_and_its_test():
    assert list(shown_files()) == [
        "acme_destination.py",
        "pyproject.toml",
        "test_acme_destination.py",
    ]


def test_the_class_has_less_than_thirty_lines():
    lines = shown_files()["acme_destination.py"].splitlines()
    assert len([line for line in lines if line.strip()]) < 30


def test_it_is_a_type_as_soon_as_it_is_installed(path):
    listed = json.loads(run("segmentstream_api", "destinations", "--json", PYTHONPATH=path))
    assert "acme" in [each["type"] for each in listed["types"]]


def test_it_does_what_every_destination_must_do(project, path):
    test = str(project / "test_acme_destination.py")
    said = run("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project), test,
               PYTHONPATH=path)  # fmt: skip
    assert " passed" in said


def test_the_service_delivers_to_it(path, tmp_path):
    service = Service(tmp_path, workers=1)
    service.environ["PYTHONPATH"] = path
    with Peer(answer("200 OK")) as peer:
        settings = {"type": "acme", "url": f"{peer.url}/events", "api_key": "acme-api-key"}
        service.configure({"partner": settings})
        try:
            service.start()
            assert service.post(DOCUMENTED_EXAMPLE) == 204
            deadline = time.monotonic() + 30
            while not peer.received and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            service.stop()
    (request,) = peer.received
    assert request.line == "POST /events HTTP/1.1"
    assert request.headers["authorization"] == "Bearer acme-api-key"
    body = json.loads(request.body)
    assert len(body.pop("id")) == 32
    assert body == {"user": "u2783187492", "name": "Registered"}
