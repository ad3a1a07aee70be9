"""One configuration with every type: each stub gets every event once, whatever the others do."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import falcon.testing
import pytest

from segmentstream_api.app import create_app
from segmentstream_api.config import load_settings
from segmentstream_api.delivery.redelivery import Redelivery
from segmentstream_api.http.auth import token_digest
from segmentstream_api.store.records import DeadLetterFilter
from segmentstream_api.store.sqlite.file import SqliteFile
from segmentstream_api.store.sqlite.store import SqliteStore
from segmentstream_api.testing import Peer, answer

from .kafka_cluster import Cluster
from .test_conformance import ACCEPTING, REGISTRY, SETTINGS

CASES = Path(__file__).parents[1] / "cases/track/valid"
EXAMPLE = json.loads((CASES / "documented-example.json").read_text("utf-8"))["document"]
PURCHASE = {
    "hitId": "purchase-1",
    "event": {
        "name": "Completed Transaction",
        "category": "Ecommerce",
        "user": {"userId": "u-1", "anonymousId": "a-1", "email": "john_smith@gmail.com"},
        "transaction": {
            "orderId": "QA-123456",
            "currency": "USD",
            "subtotal": 25000,
            "total": 26000,
            "lineItems": [
                {"product": {"id": "1", "name": "Boots", "unitPrice": 90}, "quantity": 2}
            ],
        },
    },
    "context": {"ip": "192.0.2.1", "userAgent": "tést"},
}
TOO_OLD_FOR = {"google-analytics", "facebook-conversions"}  # they take days, the example is of 2019
OVER_HTTP = sorted(set(SETTINGS) - {"file", "kafka", "postgresql"})
HEADERS = {
    "Authorization": "Basic " + base64.b64encode(b"abc123:").decode(),
    "Content-Type": "application/json",
}


class Stub:
    """A vendor: answers as it is told and remembers what it took."""

    def __init__(self, type_name):
        self.accepting = ACCEPTING.get(type_name, answer("200 OK", b"{}"))
        self.status = ""
        self.taken: list[str] = []
        self.peer = Peer(self._reply)

    def _reply(self, request):
        if self.status:
            return [answer(self.status, b'{"error": {"message": "no", "code": 1}}')]
        self.taken.append(request.line + request.body.decode())
        return [self.accepting]


class Service:
    """The application with a destination of each of these types, named like it."""

    def __init__(self, folder, destinations):
        sections = {
            "store": {"disk_floor_megabytes": 1},
            "projects.shop": {
                "tokens": [token_digest("abc123")],
                "destinations": list(destinations),
            },
            **{f"destinations.{name}": each for name, each in destinations.items()},
        }
        lines = []
        for title, section in sections.items():
            lines.append(f"[{title}]")
            lines += [f"{key} = {_toml(value)}" for key, value in section.items()]
        path = folder / "segmentstream.toml"
        path.write_text("\n".join(lines), "utf-8")
        settings = load_settings(path, environ={}, registry=REGISTRY)
        self.ahead_seconds = 0.0
        self.store = SqliteStore(
            SqliteFile(settings.store.path, floor_bytes=0),
            dedup_window_seconds=3600,
            retry_for_seconds=3 * 86_400,
            dead_letters_for_seconds=86_400,
            clock=lambda: time.time() + self.ahead_seconds,
        )
        self.app = create_app(settings, self.store)
        self.client = falcon.testing.TestClient(self.app)

    def post(self, document):
        body = json.dumps(document).encode()
        return self.client.simulate_post("/track", body=body, headers=HEADERS).status_code

    def redeliver(self):
        """What waits goes out now: the store believes that it is an hour later."""
        self.store.flush()
        self.ahead_seconds += 3600
        for lane in self.app.deliveries.lanes.values():
            redelivery = Redelivery(lane, self.store)
            redelivery.step()
            redelivery.join()
        self.store.flush()

    def dead(self, name):
        return [each.reason for each in self.store.dead_letters(DeadLetterFilter(name), 10)]

    def waiting(self):
        return {name: stats.waiting for name, stats in self.store.stats().items() if stats.waiting}

    def close(self):
        self.app.deliveries.stop()


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def stubs():
    stubs = {name: Stub(name) for name in OVER_HTTP}
    yield stubs
    for stub in stubs.values():
        stub.peer.__exit__()


@pytest.fixture
def start(tmp_path, stubs):
    made = []

    def start(**more):
        destinations = {
            name: {
                "type": name,
                **SETTINGS[name](stub.peer.url, tmp_path),
                "timeout_seconds": 5,
            }
            for name, stub in stubs.items()
        }
        made.append(Service(tmp_path, {**destinations, **more}))
        return made[-1]

    yield start
    for service in made:
        service.close()


def test_every_destination_gets_the_example_and_a_purchase_once(start, stubs, tmp_path, postgresql):
    table = "all_types"
    settings = {"dsn": postgresql.url, "table": table, "timeout_seconds": 10}
    warehouse = REGISTRY["postgresql"]("warehouse", settings)
    with Cluster() as cluster:
        service = start(
            file={"type": "file", "path": "events.jsonl"},
            kafka={"type": "kafka", "bootstrap_servers": cluster.address, "topic": "events"},
            postgresql={"type": "postgresql", "dsn": postgresql.url, "table": table},
        )
        warehouse.setup()
        warehouse.close()
        assert set(service.app.deliveries.lanes) == set(REGISTRY)
        assert [service.post(document) for document in (EXAMPLE, PURCHASE)] == [204, 204]
        service.redeliver()

        messages = [json.loads(message.value() or b"") for message in cluster.read("events", 2)]
    assert service.waiting() == {}
    envelopes = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [envelope["hitId"] for envelope in envelopes] == [EXAMPLE["hitId"], "purchase-1"]
    assert sorted(messages, key=str) == sorted(envelopes, key=str)
    rows = postgresql.query(f"SELECT hit_id FROM {table}")
    assert sorted(rows) == sorted([(EXAMPLE["hitId"],), ("purchase-1",)])
    for name, stub in stubs.items():
        expected = 1 if name in TOO_OLD_FOR else 2
        assert len(stub.taken) == expected, name
        assert any("QA-123456" in request for request in stub.taken), name
        if name in TOO_OLD_FOR:
            (reason,) = service.dead(name)
            assert "ago" in reason or "old" in reason
        else:
            assert any("Registered" in request for request in stub.taken), name
            assert service.dead(name) == []


@pytest.mark.parametrize(
    "status",
    ["302 Found", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found",
     "408 Request Timeout", "413 Content Too Large", "422 Unprocessable Content",
     "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"],
)  # fmt: skip
def test_whatever_every_vendor_answers_nothing_is_lost(start, stubs, status):
    service = start()
    for stub in stubs.values():
        stub.status = status
    assert service.post(PURCHASE) == 204
    for stub in stubs.values():
        stub.status = ""
    service.redeliver()
    service.redeliver()
    waiting = service.waiting()
    assert set(waiting) <= ({"amplitude"} if status.startswith("429") else set())  # it waits 30 s
    for name, stub in stubs.items():
        dead = service.dead(name)
        assert len(stub.taken) + len(dead) + waiting.get(name, 0) == 1, name
        if status[:3] in {"302", "401", "429", "500", "503"}:
            assert not dead, name
