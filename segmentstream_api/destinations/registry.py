"""Type name → destination class: the package's own, and those that other packages bring.

Another package registers its class in the entry-point group `segmentstream_api.destinations`,
under its type name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from types import MappingProxyType

from segmentstream_api.destinations.amplitude.destination import Amplitude
from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.bigquery.destination import BigQuery
from segmentstream_api.destinations.clickhouse.destination import ClickHouse
from segmentstream_api.destinations.facebook_conversions.destination import FacebookConversions
from segmentstream_api.destinations.file.destination import File
from segmentstream_api.destinations.google_analytics.destination import GoogleAnalytics
from segmentstream_api.destinations.kafka.destination import Kafka
from segmentstream_api.destinations.mixpanel.destination import Mixpanel
from segmentstream_api.destinations.postgresql.destination import PostgreSQL
from segmentstream_api.destinations.posthog import PostHog
from segmentstream_api.destinations.segment import Segment
from segmentstream_api.destinations.webhook.destination import Webhook
from segmentstream_api.errors import (
    ConfigError,
    DuplicateDestinationType,
    Problem,
    UnknownDestinationType,
)

ENTRY_POINT_GROUP = "segmentstream_api.destinations"

OWN: Mapping[str, type[Destination]] = MappingProxyType(
    {
        "amplitude": Amplitude,
        "bigquery": BigQuery,
        "clickhouse": ClickHouse,
        "facebook-conversions": FacebookConversions,
        "file": File,
        "google-analytics": GoogleAnalytics,
        "kafka": Kafka,
        "mixpanel": Mixpanel,
        "postgresql": PostgreSQL,
        "posthog": PostHog,
        "segment": Segment,
        "webhook": Webhook,
    }
)


def load_registry(
    entry_points: Iterable[metadata.EntryPoint] | None = None,
) -> Mapping[str, type[Destination]]:
    """Read-only. `entry_points` are those of the installed packages unless given.

    Raises DuplicateDestinationType, and ConfigError naming every package whose entry point cannot
    be used: an installed destination that is silently missing would be searched for long.
    """
    if entry_points is None:
        entry_points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    registry = dict(OWN)
    owners = dict.fromkeys(OWN, "segmentstream-api")
    problems: list[Problem] = []
    for entry_point in entry_points:
        name, owner = entry_point.name, _owner(entry_point)
        if name in registry:
            raise DuplicateDestinationType(name, owners[name], owner)
        loaded = _load(entry_point)
        if isinstance(loaded, str):
            problems.append(Problem(f"{owner}: {name} = {entry_point.value}", loaded))
        else:
            registry[name], owners[name] = loaded, owner
    if problems:
        raise ConfigError(f"the entry-point group {ENTRY_POINT_GROUP}", problems)
    return MappingProxyType(registry)


def destination_class(
    registry: Mapping[str, type[Destination]], type_name: str
) -> type[Destination]:
    """Raises UnknownDestinationType, which lists the known ones."""
    try:
        return registry[type_name]
    except KeyError:
        raise UnknownDestinationType(type_name, sorted(registry)) from None


def _load(entry_point: metadata.EntryPoint) -> type[Destination] | str:
    """The class, or what is wrong with it."""
    try:
        found = entry_point.load()
    except Exception as error:  # noqa: BLE001  importing a stranger's module may raise anything
        return f"cannot be imported: {type(error).__name__}: {error}"
    if not (isinstance(found, type) and issubclass(found, Destination)):
        return f"is no subclass of {Destination.__module__}.Destination"
    if getattr(found, "type_name", None) != entry_point.name:
        return f"its type_name must be {entry_point.name!r} too"
    return found


def _owner(entry_point: metadata.EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value
