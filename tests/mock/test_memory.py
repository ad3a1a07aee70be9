from __future__ import annotations

from segmentstream_api.event.event import new_event
from segmentstream_api.mock.memory import RememberingStore


def event(hit_id, name):
    document = {"hitId": hit_id, "event": {"name": name, "user": {"userId": "u-1"}}}
    return new_event("shop", document, received_at=1.0)


def test_what_is_accepted_is_remembered_in_order_and_a_hit_id_once(tmp_path):
    store = RememberingStore(tmp_path / "segmentstream.db", dedup_window_seconds=3600)
    store.open()
    try:
        store.accept_all([(event("1", "a"), {}), (event("2", "b"), {}), (event("1", "a"), {})])
        store.accept_all([(event("2", "another body"), {}), (event("3", "c"), {})])
    finally:
        store.close()
    assert [each["event"]["name"] for each in store.accepted] == ["a", "b", "c"]
