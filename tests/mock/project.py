"""A project of somebody else's, with the package installed from its wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.system.service import CHECKOUT

PAGE = (CHECKOUT / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
_TIMEOUT_SECONDS = 240


def run(*command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )


class Project:
    """A folder with tests of its own. `path` is where the package is installed."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        for name, content in FILES.items():
            self.write(name, content)

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content, "utf-8")

    def pytest(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and what pytest said."""
        options = ("-p", "no:cacheprovider", "--rootdir", str(self.folder))
        done = run("pytest", *options, *arguments, folder=self.folder, PYTHONPATH=str(self.path))
        return done.returncode, done.stdout + done.stderr
