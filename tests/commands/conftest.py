"""A folder, the command line run in it, and a service to talk to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segmentstream_api.cli import main
from tests.commands.folder import Folder
from tests.system.service import Service


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Of a terminal 200 columns wide, whoever runs the tests, and nothing of the service's."""
    for name in list(os.environ):
        if name.startswith("SEGMENTSTREAM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Folder:
    """The current folder, with a configuration of two file destinations."""
    monkeypatch.chdir(tmp_path)
    folder = Folder(tmp_path)
    folder.configure()
    return folder


@pytest.fixture
def run(capsys):
    """Runs the command line; the exit code, standard output and standard error."""

    def run(*argv):
        try:
            code = main([str(each) for each in argv])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A running one, whose destination writes `events.jsonl` in its folder."""
    service = Service(tmp_path_factory.mktemp("service"), workers=1, threads=8)
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    yield service
    service.stop()
