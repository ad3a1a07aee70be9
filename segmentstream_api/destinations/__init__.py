"""The names for authors of destinations; docs/destinations.md shows one.

These names and the methods of `Destination` are stable: they change only with a new major version.
Other modules of this package are ours and may move at any time.
"""

from segmentstream_api.destinations.base import Delivered as Delivered
from segmentstream_api.destinations.base import Delivery as Delivery
from segmentstream_api.destinations.base import Destination as Destination
from segmentstream_api.destinations.base import Outcome as Outcome
from segmentstream_api.destinations.base import Rejected as Rejected
from segmentstream_api.destinations.base import Retry as Retry
from segmentstream_api.destinations.mapping.envelope import Envelope as Envelope
from segmentstream_api.destinations.transport.endpoint import BASE_URL as BASE_URL
from segmentstream_api.destinations.transport.endpoint import TIMEOUT as TIMEOUT
from segmentstream_api.destinations.transport.sender import Answer as Answer
from segmentstream_api.destinations.transport.sender import HttpSender as HttpSender
from segmentstream_api.destinations.transport.sender import outcome_of as outcome_of
