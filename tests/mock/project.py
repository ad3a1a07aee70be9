"""A project of somebody else's, with the package installed from its wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.system.service import CHECKOUT

PAGE = (CHECKOUT / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
_TIMEOUT_SECONDS = 240
_SOURCES = ("segmentstream_api", "schemas")


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


def install(folder: Path) -> Path:
    """Where the package is found after its wheel was built and installed, without a network."""
    source, wheels, target = folder / "source", folder / "wheels", folder / "site-packages"
    source.mkdir()
    for path in CHECKOUT.iterdir():  # a copy, for a build leaves files beside its sources
        if path.is_file():
            shutil.copy(path, source)
    for name in _SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, source / name, ignore=ignored)
    alone = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    for command in (
        ("wheel", *alone, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)),
        ("install", *alone, "--target", str(target), "--find-links", str(wheels)),
    ):
        names = () if command[0] == "wheel" else ("segmentstream-api",)
        done = run("pip", *command, *names, folder=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    return target


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
