"""Name → source class: the package's own, and those that other packages bring.

Another package registers its class in the entry-point group `segmentstream_api.sources`, under
its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from types import MappingProxyType

from segmentstream_api.errors import ConfigError, Problem
from segmentstream_api.sources.base import Source
from segmentstream_api.sources.collect.source import Collect
from segmentstream_api.sources.segment.source import Segment
from segmentstream_api.sources.track import Track

ENTRY_POINT_GROUP = "segmentstream_api.sources"

OWN: Mapping[str, type[Source]] = MappingProxyType(
    {"track": Track, "collect": Collect, "segment": Segment}
)


def load_sources(
    entry_points: Iterable[metadata.EntryPoint] | None = None,
) -> Mapping[str, type[Source]]:
    """Read-only. `entry_points` are those of the installed packages unless given.

    Raises ConfigError that names every package whose source cannot be used: because it cannot be
    imported, is no source, or wants a name or a path that another source has.
    """
    if entry_points is None:
        entry_points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    sources = dict(OWN)
    owners = {path: "segmentstream-api" for source in OWN.values() for path in _paths(source)}
    problems: list[Problem] = []
    for entry_point in entry_points:
        owner = _owner(entry_point)
        loaded = _load(entry_point)
        if isinstance(loaded, str):
            fault = loaded
        elif entry_point.name in sources:
            fault = f"the source {entry_point.name!r} exists already"
        elif taken := [path for path in _paths(loaded) if path in owners]:
            fault = f"the path {taken[0]} belongs to {owners[taken[0]]}"
        else:
            sources[entry_point.name] = loaded
            owners |= dict.fromkeys(_paths(loaded), owner)
            continue
        problems.append(Problem(f"{owner}: {entry_point.name} = {entry_point.value}", fault))
    if problems:
        raise ConfigError(f"the entry-point group {ENTRY_POINT_GROUP}", problems)
    return MappingProxyType(sources)


def _paths(source: type[Source]) -> list[str]:
    return [*source.paths, *source.documents]


def _load(entry_point: metadata.EntryPoint) -> type[Source] | str:
    """The class, or what is wrong with it."""
    try:
        found = entry_point.load()
    except Exception as error:  # noqa: BLE001  importing a stranger's module may raise anything
        return f"cannot be imported: {type(error).__name__}: {error}"
    if not (isinstance(found, type) and issubclass(found, Source)):
        return f"is not a subclass of {Source.__module__}.Source"
    if getattr(found, "name", None) != entry_point.name:
        return f"its name must be {entry_point.name!r} too"
    return found


def _owner(entry_point: metadata.EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else entry_point.value
