"""What real SDKs sent to a recorder: made-up data, the key `wk_test`, in `recorded/*.json`."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = sorted((Path(__file__).parent / "recorded").glob("*.json"))


@dataclass(frozen=True)
class Recorded:
    name: str
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    time: float
    body: Any

    @property
    def raw(self) -> bytes:
        """The body as the SDK encoded it, but for the order of bytes that nobody reads."""
        body = json.dumps(self.body).encode()
        return gzip.compress(body) if self.headers.get("content-encoding") == "gzip" else body


def recordings() -> list[Recorded]:
    return [
        Recorded(
            file.stem,
            each["method"],
            each["path"],
            {name.lower(): value for name, value in each["headers"]},
            each["t"],
            each["body"],
        )
        for file in FILES
        for each in json.loads(file.read_text("utf-8"))
    ]


POSTED = [each for each in recordings() if each.method == "POST"]
