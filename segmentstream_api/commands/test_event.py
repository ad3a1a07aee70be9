"""One marked test event to a configured destination: for `check --send`."""

from __future__ import annotations

import time
from contextlib import closing
from uuid import uuid4

from segmentstream_api.config import DestinationSettings, Settings
from segmentstream_api.destinations.base import Delivered, Delivery
from segmentstream_api.event.event import new_event

_PROJECT_OF_NONE = "test"  # for a destination that no project has


def probe(settings: Settings, configured: DestinationSettings) -> tuple[bool, str]:
    """Whether the destination took the event, and what became of it, in a sentence.

    The event is named Test Event, its hit id begins with `test-`, its context says `test: true`.
    """
    projects = [each.name for each in settings.projects if configured.name in each.destinations]
    document = {
        "hitId": f"test-{uuid4()}",
        "event": {"category": "Test", "name": "Test Event", "user": {"userId": "test-user"}},
        "context": {"test": True},
    }
    event = new_event((projects or [_PROJECT_OF_NONE])[0], document, received_at=time.time())
    delivery = Delivery(event.key.hex(), event.body, rename=configured.rename)
    with closing(configured.build()) as destination:
        try:
            outcome, sentence = destination.probe(delivery)
        except Exception as error:  # noqa: BLE001 - its text may hold a secret; the others go on
            return False, f"defect of the destination: {type(error).__name__}"
    return isinstance(outcome, Delivered), sentence
