from __future__ import annotations

import pytest

from tests.fakes import Clock
from tests.logs.recorded import Recorded, listen


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def recorded(clock):
    """The lines of our own log, and of another library's that is called `theirs`."""
    recorded = Recorded(clock)
    stops = [listen(recorded), listen(recorded, "theirs"), listen(recorded, "gunicorn.error")]
    yield recorded
    for stop in stops:
        stop()
    recorded.handler.close()
