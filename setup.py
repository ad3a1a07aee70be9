"""Everything is declared in setup.cfg; this only takes the top-level data along into the wheel.

The schemas are the public contract and gunicorn.conf.py is what operators read, so both stand at
the top of the repository. Installed, they lie in `segmentstream_api/data/`.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def top_level_data() -> list[Path]:
    """What travels in the wheel, relative to the top of the repository."""
    return [
        Path("gunicorn.conf.py"),
        *(path.relative_to(ROOT) for path in sorted(ROOT.glob("schemas/**/*.json"))),
    ]


class BuildWithData(build_py):
    """`build_py`, and then `top_level_data()` copied to `segmentstream_api/data/`.

    An editable install copies nothing: there the package reads the files in the checkout.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for path in top_level_data():
            target = Path(self.build_lib, "segmentstream_api", "data", path)
            self.mkpath(str(target.parent))
            self.copy_file(str(ROOT / path), str(target))


setup(cmdclass={"build_py": BuildWithData})
