"""Read by Schemathesis, before it makes up events: what our own format means."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("iso-8601", st.datetimes().map(lambda moment: moment.isoformat() + "Z"))
