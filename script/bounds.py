"""The lowest versions that setup.cfg allows, of what the service and its extras depend on.

python script/bounds.py    NAME==VERSION lines, for script/constraints
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

SETUP_CFG = Path(__file__).parents[1] / "setup.cfg"
WORK = {"test-lowest", "test", "check"}  # extras that only serve work on the service itself


def requirements(setup_cfg: Path = SETUP_CFG) -> list[str]:
    """The requirements of the service and its extras, as in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(setup_cfg, "utf-8")
    extras = setup["options.extras_require"]
    lists = [setup["options"]["install_requires"], *(extras[name] for name in extras.keys() - WORK)]
    return sorted(line for text in lists for line in text.splitlines() if line)


def bounds(setup_cfg: Path = SETUP_CFG) -> dict[str, str]:
    """The version that each of them begins with, by name. Raises ValueError for one without."""
    found = {}
    for requirement in requirements(setup_cfg):
        match = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement)
        if not match:
            raise ValueError(f"{requirement!r} in setup.cfg has no lowest version: NAME>=VERSION")
        found[match[1]] = match[2]
    return found


if __name__ == "__main__":
    print(*(f"{name}=={version}" for name, version in bounds().items()), sep="\n")
