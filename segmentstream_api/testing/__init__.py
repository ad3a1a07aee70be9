"""For the tests of a destination or a tracker, ours and other packages': needs pytest.

`DestinationConformance` is what every destination must do, `Peer` an HTTP server for tests that
answers as it is told. `TrackingApi` is what the fixture `tracking_api` gives to a tracker's test.
"""

import pytest

pytest.register_assert_rewrite("segmentstream_api.testing.conformance")

from segmentstream_api.mock.client import TrackingApi  # noqa: E402 - after the line above
from segmentstream_api.testing.conformance import (  # noqa: E402 - as above
    DestinationConformance,
    Subject,
    complete,
    delivery,
    recent,
)
from segmentstream_api.testing.peer import (  # noqa: E402 - as above
    Peer,
    Received,
    answer,
    closed_port,
)

__all__ = [
    "DestinationConformance",
    "Peer",
    "Received",
    "Subject",
    "TrackingApi",
    "answer",
    "closed_port",
    "complete",
    "delivery",
    "recent",
]
