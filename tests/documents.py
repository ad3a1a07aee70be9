"""Documents that are nearly right, for property-based tests."""

from __future__ import annotations

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ID = st.sampled_from(["u1", "", None, 7]) | st.text(max_size=5)
USER = st.fixed_dictionaries({}, optional={"userId": ID, "anonymousId": ID, "x": JSON}) | JSON
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "event": st.fixed_dictionaries({}, optional={"user": USER, "name": JSON}) | JSON,
        "user": USER,
        "hitId": st.text(max_size=5) | JSON,
        "sentAt": st.sampled_from(["2019-02-21T10:56:10.723Z", "2019-02-30", "x"]) | JSON,
        "context": JSON,
        "integrations": JSON,
    },
)
DOCUMENTS = DOCUMENT | JSON
