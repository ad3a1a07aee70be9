"""The names for authors of sources; docs/sources.md shows one."""

from segmentstream_api.config import Project as Project
from segmentstream_api.errors import Refused as Refused
from segmentstream_api.errors import Violation as Violation
from segmentstream_api.sources.base import Answer as Answer
from segmentstream_api.sources.base import BodyRules as BodyRules
from segmentstream_api.sources.base import Key as Key
from segmentstream_api.sources.base import Message as Message
from segmentstream_api.sources.base import Result as Result
from segmentstream_api.sources.base import Source as Source
from segmentstream_api.sources.base import SourceRequest as SourceRequest
