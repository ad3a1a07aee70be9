"""A folder with a configuration, and the command line run in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segmentstream_api.cli import main
from tests.commands.folder import Folder


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
