"""An SDK's call → the service's document → the destination `segment`: the same call again."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from segmentstream_api.config import Project
from segmentstream_api.destinations.base import Delivered, Delivery
from segmentstream_api.destinations.segment import Segment as SegmentDestination
from segmentstream_api.event.event import new_event
from segmentstream_api.sources.base import SourceRequest
from segmentstream_api.sources.segment.source import Segment
from segmentstream_api.testing import answer
from tests.destinations.exchange import exchange
from tests.sources.recordings import POSTED

TRANSPORT = {"writeKey", "_metadata", "sentAt", "originalTimestamp", "timestamp"}


def sent_on(recorded):
    """The calls that arrive at Segment, and the paths of the requests."""
    request = SourceRequest(recorded.path, headers=recorded.headers, received_at=recorded.time)
    deliveries = []
    for message in Segment().read(recorded.body, request, Project("shop", (), ())):
        event = new_event("shop", message.document, received_at=recorded.time)
        deliveries.append(Delivery(event.key.hex(), event.body))
    outcomes, received = exchange(
        SegmentDestination, deliveries, answer("200 OK", b'{"success":true}'), write_key="k"
    )
    assert outcomes == [Delivered()] * len(deliveries)
    bodies = [json.loads(each.body) for each in received]
    calls = [call for body in bodies for call in body.get("batch", [body])]
    return calls, [each.line for each in received]


def meaning(call):
    """What of a call is neither transport nor nothing."""
    kept = {name: value for name, value in call.items() if name not in TRANSPORT}
    kept["integrations"] = {
        name: value for name, value in call.get("integrations", {}).items() if name != "Segment.io"
    }
    kept["context"] = {
        name: value
        for name, value in call.get("context", {}).items()
        if name not in {"ip", "userAgent"}  # a browser's request adds them
    }
    return {name: value for name, value in kept.items() if value is not None}


def moment(call):
    return datetime.fromisoformat(call.get("originalTimestamp") or call["timestamp"])


@pytest.mark.parametrize("recorded", POSTED, ids=lambda each: f"{each.name} {each.path}")
def test_every_field_that_means_something_arrives_unchanged(recorded):
    calls, lines = sent_on(recorded)
    originals = recorded.body.get("batch", [recorded.body])
    path = recorded.path.rpartition("/")[2]
    types = {"t": "track", "i": "identify", "p": "page", "g": "group", "a": "alias"}
    for call, original in zip(calls, originals, strict=True):
        assert meaning(call) == {"type": types.get(path, path), **meaning(original)}
        assert moment(call) == moment(original)
        said = original.get("context", {}).get("ip")
        assert said is None or call["context"]["ip"] == said
        assert "segment" not in call["context"]
        assert "writeKey" not in call
    assert all(line.startswith(("POST /v1/batch ", "POST /v1/track ")) for line in lines)


def test_only_a_track_call_goes_to_the_path_of_track_calls():
    for recorded in POSTED:
        calls, (line,) = sent_on(recorded)
        alone = len(calls) == 1 and calls[0]["type"] == "track"
        assert line == f"POST /v1/{'track' if alone else 'batch'} HTTP/1.1"
