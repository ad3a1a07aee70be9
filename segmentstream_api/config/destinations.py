"""One table of `destinations` → its class and settings, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segmentstream_api.config.places import dotted, violations
from segmentstream_api.config.settings import DestinationSettings, EventSelection
from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.registry import destination_class
from segmentstream_api.errors import Problem, UnknownDestinationType
from segmentstream_api.event.integrations import ALL

_COMMON_SETTINGS = frozenset({"type", "events", "exclude_events", "rename", "concurrency"})


def check_destination(
    name: str,
    settings: Mapping[str, Any],
    folder: Path,
    registry: Mapping[str, type[Destination]],
    known: Sequence[Problem],
) -> tuple[list[DestinationSettings], list[Problem]]:
    place = ("destinations", name)
    try:
        cls = destination_class(registry, settings["type"])
    except UnknownDestinationType as error:
        detail = f"is no type of destination; known: {', '.join(error.known)}"
        return [], [Problem(dotted((*place, "type")), detail)]
    schema = {"additionalProperties": False, **cls.settings_schema}
    own = {key: value for key, value in settings.items() if key not in _COMMON_SETTINGS}
    problems = violations(schema, own, place)
    if "rename" in settings and not cls.maps_events:
        problems.append(
            Problem(dotted((*place, "rename")), f"{cls.type_name} hands events on as they are")
        )
    if name.casefold() == ALL:
        problems.append(Problem(dotted(place), "is a name that `integrations` reserves"))
    if problems or any(f"{each.place}.".startswith(f"{dotted(place)}.") for each in known):
        return [], problems
    for key, rule in schema.get("properties", {}).items():
        if "default" in rule:
            own.setdefault(key, rule["default"])
        if rule.get("format") == "path" and key in own:
            own[key] = str(folder / own[key])
    built = DestinationSettings(
        name,
        cls,
        MappingProxyType(own),
        EventSelection(
            frozenset(settings["events"]) if "events" in settings else None,
            frozenset(settings.get("exclude_events", ())),
        ),
        MappingProxyType(dict(settings.get("rename", {}))),
        settings.get("concurrency", cls.usual_concurrency()),
    )
    problems = [Problem(dotted(place), sentence) for sentence in built.build().check()]
    return [built], problems
