"""What no line of a log may show, and how each line must look: checked when a service stops."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

CHECKOUT = Path(__file__).parents[2]
DOCUMENTED_EXAMPLE = json.loads(
    (CHECKOUT / "tests/cases/track/valid/documented-example.json").read_text("utf-8")
)["document"]
TOKEN = "abc123"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "canary-4711"  # part of whatever a test makes up that nobody may see
USER = {"userId": f"user-{CANARY}", "email": f"jane-{CANARY}@example.com", "phone": "+4915550100"}
IP = "203.0.113.77"
_SHORTEST = 6  # characters: shorter values, as `Auth`, are words of others too


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, str) and len(value) >= _SHORTEST:
        yield value


_NEVER = {
    "a token": r"(?<![0-9a-z])abc123(?![0-9a-z])",  # request ids are hexadecimal
    "a token in base64": re.escape(base64.b64encode(TOKEN.encode()).decode()),
    "another token in base64": re.escape(base64.b64encode(CANARY[:9].encode()).decode()),
    "a token's digest": "sha256:[0-9a-f]{8}",
    "a secret": re.escape(WEBHOOK_SECRET),
    "what a test made up": re.escape(CANARY),
    "a phone number": re.escape(USER["phone"]),
    "an IP address": re.escape(IP),
    "a hit id": r"\bhit-\w",
    **{
        f"the documented example's {value!r}": re.escape(value)
        for value in _leaves(DOCUMENTED_EXAMPLE)
    },
}
CANARIES = {name: re.compile(pattern) for name, pattern in _NEVER.items()}


def require_clean(log: Path) -> None:
    """Raises AssertionError for a line that shows what it must not, or is not as documented."""
    text = log.read_text("utf-8") if log.exists() else ""
    for name, pattern in CANARIES.items():
        if found := pattern.search(text):
            line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            raise AssertionError(f"the log shows {name}: {line}")
    for line in text.splitlines():
        _require_documented(line)


def lines_of(log: Path, event: str = "") -> list[dict[str, Any]]:
    """What was logged, or only that of one name."""
    lines: list[dict[str, Any]] = [json.loads(each) for each in log.read_text("utf-8").splitlines()]
    return [each for each in lines if event in ("", each["event"])]


def _require_documented(line: str) -> None:
    try:
        document = json.loads(line)
    except ValueError:
        raise AssertionError(f"a line of the log is not JSON: {line}") from None
    for error in _schema().iter_errors(document):
        raise AssertionError(f"{error.json_path} breaks schemas/log.json: {line}")
    assert document["event"] in documented_events(), f"not in docs/operations.md: {line}"


@cache
def _schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((CHECKOUT / "schemas/log.json").read_text("utf-8")))


@cache
def documented_events() -> dict[str, str]:
    """The level of each event that docs/operations.md tells of."""
    page = (CHECKOUT / "docs/operations.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([a-z ]+) \|", page, re.MULTILINE))
