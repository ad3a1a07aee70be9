"""Document + clock → `Event`: what was accepted, frozen. Called by the resources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from segmentstream_api.errors import Violation
from segmentstream_api.event.user import with_user_in_event
from segmentstream_api.timestamps import canonical_instant, format_instant

# Made once: json.dumps with options makes a new encoder at each call.
_ENVELOPE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_SORTED = json.JSONEncoder(sort_keys=True)
_FINGERPRINT_BYTES = 8  # tells two bodies of one hit id apart; nobody gains by a collision
_MAX_POINTER_CHARACTERS = 256  # ours: names of the client's are in it, and there may be fifty


@dataclass(frozen=True, slots=True)
class Event:
    """One event as every destination will get it."""

    project: str
    hit_id: str
    name: str
    received_at: float
    """Unix time in seconds."""

    key: bytes
    """16 bytes that stand for project and hit id: the dedup and idempotency key."""

    fingerprint: bytes | None
    """Digest of what the client sent, without `sentAt`; None for an event without `hitId`,
    which is never a duplicate."""

    document: Mapping[str, Any]
    body: bytes
    """The document as UTF-8 JSON on one line: the envelope."""


def new_event(
    project: str,
    document: Mapping[str, Any],
    *,
    received_at: float,
    violations: Sequence[Violation] = (),
    new_hit_id: Callable[[], str] = lambda: str(uuid4()),
) -> Event:
    """The event that a valid document describes, with its defaults filled in.

    The envelope is the client's document with `hitId`, `sentAt` (in UTC), `receivedAt` and
    `project` filled in; a top-level `user` moves into `event.user`, whose own fields win.
    `violations` of its event type are told to the destinations; the client's own are not.
    """
    given_hit_id = document.get("hitId")
    hit_id = given_hit_id if given_hit_id is not None else new_hit_id()
    received = format_instant(datetime.fromtimestamp(round(received_at, 3), UTC))
    sent_at = document.get("sentAt")
    envelope = {
        **with_user_in_event(document),
        "hitId": hit_id,
        "sentAt": received if sent_at is None else canonical_instant(sent_at),
        "receivedAt": received,
        "project": project,
    }
    envelope.pop("violations", None)
    if violations:
        envelope["violations"] = [
            {"pointer": each.pointer[:_MAX_POINTER_CHARACTERS], "detail": each.detail}
            for each in violations
        ]
    name = document["event"].get("name")
    return Event(
        project=project,
        hit_id=hit_id,
        name=name if isinstance(name, str) else "",
        received_at=received_at,
        key=hashlib.sha256(f"{project}\0{hit_id}".encode()).digest()[:16],
        fingerprint=None if given_hit_id is None else _fingerprint(document),
        document=envelope,
        body=_ENVELOPE.encode(envelope).encode(),
    )


def _fingerprint(document: Mapping[str, Any]) -> bytes:
    """A client that sends again may write a new `sentAt`; everything else should be the same."""
    content = {key: value for key, value in document.items() if key != "sentAt"}
    return hashlib.sha256(_SORTED.encode(content).encode()).digest()[:_FINGERPRINT_BYTES]
