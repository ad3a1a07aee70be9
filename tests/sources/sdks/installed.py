"""Real SDKs in pinned versions, each in a folder of its own, and the program that calls it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.optional import missing

PROGRAMS = Path(__file__).parent / "programs"
_INSTALL_SECONDS = 240
_RUN_SECONDS = 90


@dataclass(frozen=True)
class Sdk:
    """`requirement` names the package and its version, as pip or npm has it."""

    requirement: str
    program: str
    arguments: tuple[str, ...] = ()

    @property
    def is_python(self) -> bool:
        return self.program.endswith(".py")


SDKS = (
    Sdk("segment-analytics-python==2.3.4", "segment_python.py", ("segment.analytics",)),
    Sdk("segment-analytics-python==2.4.0", "segment_python.py", ("segment.analytics",)),
    Sdk("rudder-sdk-python==2.1.9", "segment_python.py", ("rudderstack.analytics",)),
    Sdk("@segment/analytics-node@3.1.0", "segment_node.mjs"),
    Sdk("@rudderstack/rudder-sdk-node@3.0.13", "rudder_node.cjs"),
)


@dataclass(frozen=True)
class Installed:
    sdk: Sdk
    folder: Path

    def call_once(self, host: str, key: str) -> list[str]:
        """Makes every call once and waits until the SDK has done with them: the errors it told."""
        program = shutil.copy(PROGRAMS / self.sdk.program, self.folder)  # beside node_modules
        runtime = sys.executable if self.sdk.is_python else shutil.which("node")
        done = subprocess.run(
            [str(runtime), str(program), *self.sdk.arguments, host, key],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            check=False,
            timeout=_RUN_SECONDS,
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        errors: list[str] = json.loads(done.stdout.decode().splitlines()[-1])
        return errors


def install(sdk: Sdk, folder: Path) -> Installed:
    """Puts the SDK there; the test is skipped where it cannot be had."""
    folder.mkdir(parents=True)
    if sdk.is_python:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--target", str(folder), sdk.requirement]
    else:
        npm = shutil.which("npm") or missing("npm is not installed")
        (folder / "package.json").write_text('{"private": true}')
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", sdk.requirement]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, timeout=_INSTALL_SECONDS
    )
    if done.returncode:
        missing(f"{sdk.requirement} could not be installed: {done.stderr.decode()[-500:]}")
    return Installed(sdk, folder)
