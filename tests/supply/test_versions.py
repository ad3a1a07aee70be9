"""The ranges in setup.cfg and the exact versions in the two files of constraints agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from script import bounds
from tests.system.service import CHECKOUT


def pins(name: str) -> dict[str, Version]:
    text = (CHECKOUT / name).read_text("utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


LOWEST = pins("constraints-lowest.txt")
PINNED = pins("constraints.txt")


@pytest.mark.parametrize(("name", "version"), bounds.bounds().items())
def test_script_lowest_has_exactly_the_lowest_version(name: str, version: str):
    assert LOWEST[canonicalize_name(name)] == Version(version), "run script/constraints"


@pytest.mark.parametrize("requirement", bounds.requirements())
def test_the_pinned_version_is_in_the_range(requirement: str):
    wanted = Requirement(requirement)
    assert PINNED[canonicalize_name(wanted.name)] in wanted.specifier


def test_the_tests_themselves_are_the_same_with_the_lowest_versions():
    for name in ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist"):
        assert LOWEST[name] == PINNED[name]


@pytest.mark.parametrize("line", ["requests", "requests>2", "requests>=2,<3", "requests==2.1"])
def test_a_requirement_without_a_plain_lowest_version_is_refused(tmp_path: Path, line: str):
    path = tmp_path / "setup.cfg"
    path.write_text(f"[options]\ninstall_requires =\n    {line}\n[options.extras_require]\n")
    with pytest.raises(ValueError, match="has no lowest version"):
        bounds.bounds(path)


def test_ci_runs_the_tests_with_both():
    text = (CHECKOUT / ".ci" / "run").read_text("utf-8")
    assert "./script/test\n" in text
    assert "./script/lowest\n" in text
