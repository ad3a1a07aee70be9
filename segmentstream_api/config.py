"""The TOML file → frozen settings. All problems are found at once, before anything is served."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.registry import destination_class
from segmentstream_api.errors import (
    ConfigError,
    Problem,
    UnknownDestinationType,
    UnusableSchemas,
)
from segmentstream_api.event_types.files import EventType, own_types
from segmentstream_api.event_types.rules import EventTypeSettings
from segmentstream_api.integrations import ALL
from segmentstream_api.schemas import Contract, load_schema

DEFAULT_PATH = "segmentstream.toml"
_COMMON_SETTINGS = frozenset({"type", "events", "exclude_events", "rename"})
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`path` is the SQLite file; `disk_floor_bytes` is None for the default floor."""

    path: Path
    dedup_window_seconds: float
    disk_floor_bytes: int | None


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    push_budget_seconds: float
    retry_for_seconds: float
    keep_dead_letters_seconds: float
    concurrency: int
    most_waiting_requests: int


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    tokens: tuple[str, ...] = field(repr=False)
    """Digests: `sha256:` and 64 hex digits."""
    destinations: tuple[str, ...]
    event_types: EventTypeSettings = field(default_factory=EventTypeSettings)


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


def load_settings(
    path: Path,
    *,
    environ: Mapping[str, str],
    registry: Mapping[str, type[Destination]],
    with_destinations: bool = True,
) -> Settings:
    """The settings in the file. Raises ConfigError with every problem; it names no value.

    Those of destinations are neither kept nor looked at unless `with_destinations`.
    """
    document, unset = _read(path, environ, with_destinations=with_destinations)
    problems = _violations(load_schema("config.json"), document, ())
    destinations = []
    for name, settings in _tables(document, "destinations"):
        if isinstance(settings.get("type"), str):
            known = [*unset, *problems]
            built, found = _destination(name, settings, path.parent, registry, known)
            problems += found
            destinations += built
    problems += _cross_references(document)
    own: dict[str, tuple[EventType, ...]] = {}
    for name, project in _tables(document, "projects"):
        own[name], found = _own_types(name, project, path.parent)
        problems += found
    if unset or problems:
        places = {problem.place for problem in unset}  # what stands there is not known yet
        raise ConfigError(
            str(path), unset + [each for each in problems if each.place not in places]
        )
    return _settings(path, document, destinations, own)


def _read(
    path: Path, environ: Mapping[str, str], *, with_destinations: bool
) -> tuple[Any, list[Problem]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        hint = (
            "; `segmentstream-api init` makes one" if isinstance(error, FileNotFoundError) else ""
        )
        raise ConfigError(
            str(path), [Problem("the file", f"cannot be read: {error.strerror}{hint}")]
        ) from error
    except UnicodeDecodeError as error:
        detail = f"is not UTF-8, at byte {error.start}"
        raise ConfigError(str(path), [Problem("the file", detail)]) from None  # it holds the file
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise ConfigError(str(path), [Problem("the file", f"is not TOML: {error}")]) from None
    if not with_destinations:
        document.pop("destinations", None)
        for _, project in _tables(document, "projects"):
            project.pop("destinations", None)
    unset: list[Problem] = []
    return _substituted(document, environ, (), unset), unset


def _substituted(
    value: Any, environ: Mapping[str, str], place: tuple[str, ...], problems: list[Problem]
) -> Any:
    """`value` with each ${NAME} replaced; notes what has no value, such as one that is not set."""
    if isinstance(value, dict):
        return {
            key: _substituted(item, environ, (*place, key), problems) for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(item, environ, (*place, str(index)), problems)
            for index, item in enumerate(value)
        ]
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(_dotted(place), "must be a finite number"))
    if not isinstance(value, str):
        return value
    if "${" in _VARIABLE.sub("", value):
        sentence = "after '${' must come the name of an environment variable and '}'"
        problems.append(Problem(_dotted(place), sentence))
    problems.extend(
        Problem(_dotted(place), f"${{{name}}} is not set in the environment")
        for name in _VARIABLE.findall(value)
        if name not in environ
    )
    return _VARIABLE.sub(lambda match: environ.get(match[1], match[0]), value)


def _tables(document: Mapping[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each table of the section; what is none has been found by the schema."""
    tables = document.get(section)
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict):
            yield name, table


def _strings(table: Mapping[str, Any], key: str) -> Iterator[tuple[int, str]]:
    """Index and text of each string of the array, likewise."""
    array = table.get(key)
    for index, item in enumerate(array if isinstance(array, list) else ()):
        if isinstance(item, str):
            yield index, item


def _violations(schema: Mapping[str, Any], document: Any, place: tuple[str, ...]) -> list[Problem]:
    return [
        Problem(_dotted((*place, *_parts(violation.pointer))) or "the file", violation.detail)
        for violation in Contract(dict(schema)).violations(document)
    ]


def _destination(
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
        return [], [Problem(_dotted((*place, "type")), detail)]
    schema = {"additionalProperties": False, **cls.settings_schema}
    own = {key: value for key, value in settings.items() if key not in _COMMON_SETTINGS}
    problems = _violations(schema, own, place)
    if "rename" in settings and not cls.maps_events:
        problems.append(
            Problem(_dotted((*place, "rename")), f"{cls.type_name} hands events on as they are")
        )
    if name.casefold() == ALL:
        problems.append(Problem(_dotted(place), "is a name that `integrations` reserves"))
    if problems or any(f"{each.place}.".startswith(f"{_dotted(place)}.") for each in known):
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
    )
    problems = [Problem(_dotted(place), sentence) for sentence in built.build().check()]
    return [built], problems


def _cross_references(document: Mapping[str, Any]) -> Iterator[Problem]:
    known = [name for name, _ in _tables(document, "destinations")]
    owners: dict[str, str] = {}
    for name, project in _tables(document, "projects"):
        for index, destination in _strings(project, "destinations"):
            if destination not in known:
                yield Problem(
                    _dotted(("projects", name, "destinations", str(index))),
                    f"is no destination; known: {', '.join(known) or 'none'}",
                )
        for index, token in _strings(project, "tokens"):
            owner = owners.setdefault(token, name)
            if owner != name:
                yield Problem(
                    _dotted(("projects", name, "tokens", str(index))),
                    f"is a token of project {owner!r} too; a token decides the project",
                )


def _own_types(
    name: str, project: Mapping[str, Any], folder: Path
) -> tuple[tuple[EventType, ...], list[Problem]]:
    paths: dict[Path, str] = {}
    problems = []
    for index, pattern in _strings(project, "schemas"):
        place = _dotted(("projects", name, "schemas", str(index)))
        try:
            matching = sorted(glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - it may be absolute
        except (OSError, ValueError):
            matching = []
        if not matching:
            problems.append(Problem(place, "matches no file"))
        for found in matching:
            paths.setdefault(folder / found, place)
    try:
        return own_types(list(paths)), problems
    except UnusableSchemas as error:
        by_place: dict[str, list[str]] = {}
        for file, reason in error.reasons:
            by_place.setdefault(paths[Path(file)], []).append(f"{file}: {reason}")
        problems += [Problem(place, "; ".join(told)) for place, told in by_place.items()]
        return (), problems


def _settings(
    path: Path,
    document: Mapping[str, Any],
    destinations: list[DestinationSettings],
    own: Mapping[str, tuple[EventType, ...]],
) -> Settings:
    sections = load_schema("config.json")["properties"]
    store = _with_defaults(document.get("store", {}), sections["store"])
    delivery = _with_defaults(document.get("delivery", {}), sections["delivery"])
    reference = _with_defaults(document.get("reference", {}), sections["reference"])
    floor = store.get("disk_floor_megabytes")
    return Settings(
        source=path,
        store=StoreSettings(
            path=path.parent / store["url"].removeprefix("sqlite:///"),
            dedup_window_seconds=store["dedup_window_hours"] * 3600,
            disk_floor_bytes=None if floor is None else int(floor * 1024 * 1024),
        ),
        delivery=DeliverySettings(
            push_budget_seconds=delivery["push_budget_seconds"],
            retry_for_seconds=delivery["retry_for_hours"] * 3600,
            keep_dead_letters_seconds=delivery["keep_dead_letters_days"] * 86400,
            concurrency=delivery["concurrency"],
            most_waiting_requests=delivery["most_waiting_requests"],
        ),
        projects=tuple(
            Project(
                name=name,
                tokens=tuple(dict.fromkeys(project["tokens"])),
                destinations=tuple(dict.fromkeys(project.get("destinations", ()))),
                event_types=EventTypeSettings(
                    on_violation=project.get("event_types", "report"),
                    on_unknown=project.get("unknown_events", "allow"),
                    own=own[name],
                ),
            )
            for name, project in document["projects"].items()
        ),
        destinations=tuple(destinations),
        reference=reference["enabled"],
    )


def _with_defaults(section: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        key: rule["default"] for key, rule in schema["properties"].items() if "default" in rule
    }
    return {**defaults, **section}


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _dotted(place: tuple[str, ...]) -> str:
    """`destinations.crm.url`, as TOML writes it; a place in a list is its index."""
    return ".".join(place)
