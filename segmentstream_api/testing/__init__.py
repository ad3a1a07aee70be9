"""For the tests of a destination, ours and other packages': needs pytest.

`DestinationConformance` is what every destination must do, `Peer` an HTTP server for tests that
answers as it is told.
"""

import pytest

pytest.register_assert_rewrite("segmentstream_api.testing.conformance")

from segmentstream_api.testing.conformance import (  # noqa: E402 - after the line above
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
    "answer",
    "closed_port",
    "complete",
    "delivery",
    "recent",
]
