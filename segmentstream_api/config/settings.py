"""What the service runs with: frozen, built once by `load_settings`, given to whoever needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segmentstream_api.contract.event_types.rules import EventTypeSettings
from segmentstream_api.destinations.base import Destination

DEFAULT_PATH = "segmentstream.toml"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`path` is the SQLite file, unless `dsn` says where PostgreSQL is.

    `disk_floor_bytes` is None for the default floor.
    """

    path: Path
    dedup_window_seconds: float
    disk_floor_bytes: int | None
    dsn: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    push_budget_seconds: float
    retry_for_seconds: float
    keep_dead_letters_seconds: float
    most_waiting_requests: int


@dataclass(frozen=True, slots=True)
class BrowserSettings:
    """What web pages may send to a project. `project_id` is for SegmentStream's own SDK."""

    project_id: str | None = None
    origins: tuple[str, ...] = ()
    max_requests_per_second: float = 1000.0
    max_requests_per_second_per_address: float = 50.0


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    tokens: tuple[str, ...] = field(repr=False)
    """Digests: `sha256:` and 64 hex digits."""
    destinations: tuple[str, ...]
    event_types: EventTypeSettings = field(default_factory=EventTypeSettings)
    browser_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Digests of tokens that are public by nature: they open what browsers send to, only."""
    browser: BrowserSettings = field(default_factory=BrowserSettings)
    segment_names: Literal["translate", "keep"] = "translate"
    """Whether e-commerce events of Segment's SDKs get SegmentStream's names and fields."""


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Which events a destination gets, by name: only these, or all but these."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def admits(self, name: str) -> bool:
        return name not in self.never and (self.only is None or name in self.only)


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """A destination's class and what has passed its settings schema, defaults filled in."""

    name: str
    cls: type[Destination]
    settings: Mapping[str, Any] = field(repr=False)
    events: EventSelection
    rename: Mapping[str, str]
    concurrency: int

    def build(self) -> Destination:
        return self.cls(self.name, self.settings)


@dataclass(frozen=True, slots=True)
class Settings:
    source: Path
    store: StoreSettings
    delivery: DeliverySettings
    projects: tuple[Project, ...]
    destinations: tuple[DestinationSettings, ...]
    reference: bool = True
    """Whether /docs, /openapi.json and /schemas are answered."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks whose `X-Forwarded-For` is believed."""
