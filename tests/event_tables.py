"""The table of event types in docs/events.md, made from the schemas.

It stands between `<!-- events -->` and `<!-- end -->`. script/docs runs this to renew it;
test_event_docs.py fails where it is not as it would be.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from segmentstream_api.contract.schemas import schema_folder

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
_PLACE = re.compile(r"(<!-- events -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with its table as it should be."""
    rows = "".join(map(_row, sorted((schema_folder() / "events").glob("*.json"))))
    table = f"| event | when | required | may hold |\n|---|---|---|---|\n{rows}"
    return _PLACE.sub(lambda place: place[1] + table + place[2], page)


def _row(path: Path) -> str:
    schema = json.loads(path.read_text("utf-8"))
    event = schema["properties"]["event"]
    fields = {name: field for name, field in event["properties"].items() if name != "name"}
    older = event["properties"]["name"].get("enum", [])[1:]
    name = f"[{schema['title']}](../schemas/events/{path.name})"
    cells = (
        f"{name}, once {', '.join(older)}" if older else name,
        schema["description"].rstrip("."),
        ", ".join(_needed(each, fields[each]) for each in event["required"] if each in fields),
        ", ".join(f"`{each}`" for each in fields if each not in event["required"]),
    )
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| – |").replace("|  |", "| – |")


def _needed(name: str, field: dict[str, Any]) -> str:
    inner = field.get("required", []) or [
        " or ".join(each["required"][0] for each in field.get("anyOf", []))
    ]
    told = ", ".join(f"`{each}`" if " or " not in each else each for each in inner if each)
    return f"`{name}` ({told})" if told else f"`{name}`"


def main() -> None:
    page = PAGE.read_text("utf-8")
    if filled(page) != page:
        PAGE.write_text(filled(page), "utf-8")


if __name__ == "__main__":
    main()
