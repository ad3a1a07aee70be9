"""The sdist and the wheels of this checkout, and an environment that has one of them."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from tests.system.service import CHECKOUT

_TIMEOUT_SECONDS = 240
_MOMENT = "1700000000"  # any, the same for both wheels
_HIDDEN = {".ci", ".gitignore"}
_PIP = ("-m", "pip", "--disable-pip-version-check")
_ALONE = ("--quiet", "--no-deps", "--no-index")


@dataclass(frozen=True)
class Distribution:
    """`wheel` and `sdist` are made of `source`, a copy of the checkout; `rebuilt` of the sdist."""

    source: Path
    sdist: Path
    wheel: Path
    rebuilt: Path


def run(*arguments: str | Path, folder: Path) -> str:
    """What Python said, in `folder`, of which it was successful."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": _MOMENT},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: Path) -> Distribution:
    """Without a network, and of a copy, for a build leaves files beside its sources."""
    source = folder / "source"
    copy_source(source)
    run("setup.py", "--quiet", "sdist", "--dist-dir", folder / "sdist", folder=source)
    (sdist,) = (folder / "sdist").iterdir()
    wheel = build_wheel(source, folder / "wheel")
    return Distribution(source, sdist, wheel, build_wheel(sdist, folder / "rebuilt"))


def built(folder: Path) -> Distribution:
    """What `build` left in `folder`."""
    found = [next((folder / name).iterdir()) for name in ("sdist", "wheel", "rebuilt")]
    return Distribution(folder / "source", *found)


def copy_source(target: Path) -> None:
    """What git would keep, as with a umask of 022, for a wheel keeps permissions."""
    lines = (CHECKOUT / ".gitignore").read_text("utf-8").splitlines()
    ignored = [line.strip("/") for line in lines if line and not line.startswith("#")]
    hidden = [name.name for name in CHECKOUT.glob(".*") if name.name not in _HIDDEN]
    shutil.copytree(CHECKOUT, target, ignore=shutil.ignore_patterns(*ignored, *hidden))
    for path in target.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o022)


def build_wheel(source: Path, target: Path) -> Path:
    """The wheel, in the new folder `target`."""
    options = ("--no-build-isolation", "--wheel-dir", target)
    run(*_PIP, "wheel", *_ALONE, *options, source, folder=target.parent)
    (wheel,) = target.iterdir()
    return wheel


def environment(folder: Path, wheel: Path, *also: str) -> Path:
    """The programs of a virtual environment with the wheel and what it declares to need, no more.

    Only the distributions `also` and their needs are there besides. All of that is there by links
    to this environment's, so that no network is needed.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    python = folder / "bin" / "python"
    run(*_PIP, "--python", python, "install", *_ALONE, wheel, folder=folder)
    (service,) = importlib.metadata.distributions(path=[str(packages)])
    needed = {name: importlib.metadata.distribution(name) for name in also}
    for of in (service, *needed.values()):
        _add_needs(of, needed)
    for each in needed.values():
        for name in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            (packages / name).symlink_to(str(each.locate_file(name)))
    return folder / "bin"


def _add_needs(
    of: importlib.metadata.Distribution, to: dict[str, importlib.metadata.Distribution]
) -> None:
    """What a distribution requires without any extra, and what that requires."""
    for line in of.requires or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in to:
            to[requirement.name] = importlib.metadata.distribution(requirement.name)
            _add_needs(to[requirement.name], to)
