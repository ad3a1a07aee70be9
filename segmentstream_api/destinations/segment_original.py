"""The call of a Segment SDK, as the source `segment` kept it, to be sent on unchanged.

The source leaves out of `context.segment` what the envelope says anyway: id, time, context and
integrations. Called by `segment.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.destinations.mapping.envelope import Envelope, mapping

TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias"})
KEPT_AT = "segment"
"""The member of `context` that has the call."""


def original_call(envelope: Envelope) -> Mapping[str, Any] | None:
    """What the SDK sent, with the type first; None for an event that came another way.

    Its `messageId` is the hit id: SDKs make ids that nobody else can guess.
    """
    kept = mapping(envelope.context.get(KEPT_AT))
    if not (isinstance(kept.get("type"), str) and kept["type"] in TYPES):
        return None
    context = {key: value for key, value in envelope.context.items() if key not in {KEPT_AT, "ip"}}
    if envelope.ip:
        context["ip"] = envelope.ip
    return {
        "type": kept["type"],
        **kept,
        "messageId": envelope.hit_id,
        "timestamp": envelope.document["sentAt"],
        "context": context,
    }
