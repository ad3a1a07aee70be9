"""The tables of settings in docs/destinations/, made from the types' schemas.

They stand between `<!-- settings: TYPE -->` and `<!-- end -->`. script/docs runs this to renew
them; test_docs.py fails where one is not as it would be.
"""

from __future__ import annotations

import re
from pathlib import Path

from segmentstream_api.destinations.registry import OWN
from segmentstream_api.destinations.settings_table import Setting, settings_of

PAGES = Path(__file__).parents[1] / "docs" / "destinations"
_PLACE = re.compile(r"(<!-- settings: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with its tables as they should be."""
    return _PLACE.sub(lambda place: place[1] + _table(place[2]) + place[3], page)


def _table(type_name: str) -> str:
    rows = "".join(map(_row, settings_of(OWN[type_name])))
    return f"| setting | what | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(setting: Setting) -> str:
    default = f"`{setting.otherwise}`" if setting.default is not None else setting.otherwise
    what = f"{setting.kind}{', secret' * setting.secret}"
    cells = (f"`{setting.name}`", what, default, setting.description)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def main() -> None:
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text("utf-8")
        if filled(page) != page:
            path.write_text(filled(page), "utf-8")


if __name__ == "__main__":
    main()
