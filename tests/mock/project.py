"""A project of somebody else's, with the package installed from its wheel."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.system.service import CHECKOUT

PAGE = (CHECKOUT / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
_TIMEOUT_SECONDS = 240


def run(python: str | Path, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", *command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


class Project:
    """A folder with tests of its own, run by that Python."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        for name, content in FILES.items():
            self.write(name, content)

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, "utf-8")

    def pytest(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what pytest said."""
        options = ("-p", "no:cacheprovider", "--rootdir", str(self.folder))
        done = run(self.python, "pytest", *options, *arguments, folder=self.folder)
        return done.returncode, done.stdout + done.stderr
