"""Whatever JSON comes: each call becomes a document of the contract, or is refused by name."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from segmentstream_api.config import Project
from segmentstream_api.contract.schemas import Contract
from segmentstream_api.errors import Refused
from segmentstream_api.event.event import new_event
from segmentstream_api.sources.base import SourceRequest
from segmentstream_api.sources.segment.source import Segment

CONTRACT = Contract.load("track.json")
PROJECT = Project("shop", (), ())
NOON = 1_795_608_000.0

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["Order Completed", "Product Clicked", "1970-01-01T00:00:00Z", "2100-01-01"])
)
NAMES = st.sampled_from(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "context",
        "traits",
        "properties",
        "integrations",
        "groupId",
        "previousId",
        "name",
        "category",
        "products",
        "order_id",
        "price",
        "user",
        "ip",
        "segment",
        "writeKey",
        "batch",
    ]
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
TYPES = st.sampled_from(["track", "identify", "page", "screen", "group", "alias", "TRACK", None, 1])
CALLS = (
    st.fixed_dictionaries(
        {"type": TYPES, "userId": st.just("u") | SCALARS},
        optional={
            "event": st.just("Order Completed") | JSON,
            **dict.fromkeys(
                ("properties", "traits", "context", "integrations"), st.dictionaries(NAMES, JSON)
            ),
            **dict.fromkeys(("messageId", "timestamp", "sentAt", "groupId", "previousId"), JSON),
        },
    )
    | JSON
)


def check(document, path):
    request = SourceRequest(path, headers={"origin": "null"}, peer="::1", received_at=NOON)
    source = Segment()
    source.key_in(request, document)
    try:
        messages = source.read(document, request, PROJECT)
    except Refused:
        return
    for message in messages:
        if message.violations:
            continue
        assert CONTRACT.found(message.document) == []
        event = new_event("shop", message.document, received_at=NOON)
        assert json.loads(event.body)["receivedAt"] >= json.loads(event.body)["sentAt"]


@settings(max_examples=400, deadline=None)
@given(st.lists(CALLS, max_size=4), JSON)
def test_a_batch(calls, more):
    check({"batch": calls, "sentAt": more, "context": more, "integrations": more}, "/v1/batch")


@settings(max_examples=200, deadline=None)
@given(CALLS, st.sampled_from(["/v1/t", "/v1/i/", "/v1/group", "/api/s/page"]))
def test_a_call(call, path):
    check(call, path)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_body(document):
    check(document, "/v1/batch")
