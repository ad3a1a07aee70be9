from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from segmentstream_api.destinations.optional import ExtraDestination
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.testing import DestinationConformance, Subject, answer
from tests.optional import require

REGISTRY = load_registry()

# How each type is set up for the tests below; a type that is missing here fails them.
SETTINGS: dict[str, Callable[[str, Path], Mapping[str, Any]]] = {
    "amplitude": lambda url, _folder: {
        "api_key": "amplitude-api-key",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "bigquery": lambda url, _folder: {
        "project": "shop-1",
        "dataset": "tracking",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "clickhouse": lambda url, _folder: {
        "base_url": url,
        "password": "clickhouse-password",
        "timeout_seconds": 0.5,
    },
    "facebook-conversions": lambda url, _folder: {
        "pixel_id": "1234567890",
        "access_token": "facebook-access-token",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "file": lambda _url, folder: {"path": str(folder / "events.jsonl")},
    "google-analytics": lambda url, _folder: {
        "measurement_id": "G-TEST12345",
        "api_secret": "google-api-secret",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "kafka": lambda url, _folder: {
        "bootstrap_servers": urlsplit(url).netloc,
        "topic": "events",
        "timeout_seconds": 2 if url.startswith("http:") else 10,
        **({"username": "u", "password": "kafka-password"} if url.startswith("http:") else {}),
    },
    "mixpanel": lambda url, _folder: {
        "username": "service.account",
        "secret": "mixpanel-secret",
        "project_id": 4242,
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "postgresql": lambda url, _folder: {
        "dsn": url.replace("http://", "postgresql://user:postgresql-password@"),
        "timeout_seconds": 2,
    },
    "posthog": lambda url, _folder: {
        "api_key": "phc_posthog-api-key",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "segment": lambda url, _folder: {
        "write_key": "segment-write-key",
        "base_url": url,
        "timeout_seconds": 0.5,
    },
    "webhook": lambda url, _folder: {
        "url": f"{url}/hook",
        "secret": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the-old-secret-in-plain-text"],
        "headers": {"Authorization": "Bearer static-header-secret"},
        "timeout_seconds": 0.5,
    },
}
VARYING_HEADERS = {"webhook": {"webhook-timestamp", "webhook-signature"}}
ACCEPTING = {
    "clickhouse": answer("200 OK"),
    "facebook-conversions": answer("200 OK", b'{"events_received":100}'),
}


@contextlib.contextmanager
def kafka_cluster(_request: pytest.FixtureRequest) -> Iterator[str]:
    from .kafka_cluster import Cluster  # noqa: PLC0415 - needs the extra

    with Cluster() as cluster:
        yield f"kafka://{cluster.address}"


@contextlib.contextmanager
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[str]:
    server = request.getfixturevalue("postgresql")
    destination = REGISTRY["postgresql"](
        "setup", {"dsn": server.url, "table": "events", "timeout_seconds": 10}
    )
    destination.setup()
    destination.close()
    yield server.url


# What takes the events where that is no HTTP server.
PEERS = {"kafka": kafka_cluster, "postgresql": postgresql_server}


class TestEveryRegisteredDestination(DestinationConformance):
    @pytest.fixture(params=sorted(REGISTRY))
    def subject(self, request) -> Subject:
        type_name: str = request.param
        destination_class = REGISTRY[type_name]
        if issubclass(destination_class, ExtraDestination):
            require(destination_class.library)
        return Subject(
            destination_class,
            SETTINGS[type_name],
            accepting=ACCEPTING.get(type_name, Subject.accepting),
            varying_headers=frozenset(VARYING_HEADERS.get(type_name, ())),
            peer=partial(PEERS[type_name], request) if type_name in PEERS else None,
        )
