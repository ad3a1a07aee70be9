"""Where the user of a document is, wherever the client put it: in `event.user`.

Called by `event.py` and by the check against event types, so both see the same user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_user_in_event(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document without a top-level `user`, which has moved into `event.user`.

    Fields in the event win, but an id that is none does not hide one that is.
    """
    if "user" not in document:
        return document
    top_level, event = document["user"], document["event"]
    in_event = event.get("user", {})
    user = {**top_level, **in_event}
    for name in ("userId", "anonymousId"):
        if not _is_id(in_event.get(name)) and _is_id(top_level.get(name)):
            user[name] = top_level[name]
    others = {key: value for key, value in document.items() if key != "user"}
    return {**others, "event": {**event, "user": user}}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""
