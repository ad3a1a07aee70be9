"""Clients that send the same events over and over: each is delivered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.checker import at_webhook, in_file, judge
from tests.system.counts import Counts
from tests.system.load import Load
from tests.system.outbox import drain
from tests.system.receiver import Receiver
from tests.system.service import Service

pytestmark = pytest.mark.serial

CLIENTS = 8
HIT_IDS = 10


def test_a_storm_of_repeats_is_acknowledged_and_delivers_each_event_once(
    service: Service, receiver: Receiver, counts: Counts, tmp_path: Path
) -> None:
    """All clients send all hit ids, so the first ones race with one another."""
    service.configure(
        {"archive": {"type": "file", "path": "events.jsonl"}, "crm": receiver.as_webhook()}
    )
    service.start()
    with Load(
        service.port,
        tmp_path / "clients",
        clients=CLIENTS,
        events=counts.repeats // CLIENTS,
        hit_id=lambda _client, number: f"hit-{number % HIT_IDS}",
    ) as load:
        load.wait()
    drain(service.store)
    assert load.history().outcomes() == {204: counts.repeats}
    for arrivals in (list(at_webhook(receiver)), list(in_file(service.folder / "events.jsonl"))):
        assert len(arrivals) == HIT_IDS
        judge(load.history(), arrivals).require()
