"""The call as its client sent it, kept in `context.segment`.

The destination `segment` sends it on from there, so what was translated on the way in arrives
unchanged. What the document says anyway (`messageId`, `context`, `integrations`) is left out, and
so is what belongs to the transport. The write key is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEFT_OUT = frozenset(
    {
        "writeKey",
        "_metadata",
        "sentAt",
        "receivedAt",
        "version",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "context",
        "integrations",
        "batch",
    }
)


def original(call: Mapping[str, Any], kind: str) -> dict[str, Any]:
    kept = {
        name: value for name, value in call.items() if name not in _LEFT_OUT and value is not None
    }
    return {**kept, "type": kind}
