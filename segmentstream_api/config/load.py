"""The TOML file → frozen settings. All problems are found at once, before anything is served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segmentstream_api.config.browsers import check_browsers
from segmentstream_api.config.destinations import check_destination
from segmentstream_api.config.places import tables, violations
from segmentstream_api.config.projects import cross_references, project_event_types
from segmentstream_api.config.settings import (
    BrowserSettings,
    DeliverySettings,
    DestinationSettings,
    Project,
    Settings,
)
from segmentstream_api.config.store import check_store, store_settings
from segmentstream_api.config.toml_file import read_toml
from segmentstream_api.contract.event_types.files import EventType
from segmentstream_api.contract.event_types.rules import EventTypeSettings
from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.destinations.base import Destination
from segmentstream_api.errors import ConfigError


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
    document, unset = read_toml(path, environ, with_destinations=with_destinations)
    problems = violations(load_schema("config.json"), document, ())
    destinations = []
    for name, settings in tables(document, "destinations"):
        if isinstance(settings.get("type"), str):
            known = [*unset, *problems]
            built, found = check_destination(name, settings, path.parent, registry, known)
            problems += found
            destinations += built
    problems += check_store(document)
    problems += cross_references(document)
    problems += check_browsers(document)
    own: dict[str, tuple[EventType, ...]] = {}
    for name, project in tables(document, "projects"):
        own[name], found = project_event_types(name, project, path.parent)
        problems += found
    if unset or problems:
        places = {problem.place for problem in unset}  # what stands there is not known yet
        raise ConfigError(
            str(path), unset + [each for each in problems if each.place not in places]
        )
    return _settings(path, document, destinations, own)


def _settings(
    path: Path,
    document: Mapping[str, Any],
    destinations: list[DestinationSettings],
    own: Mapping[str, tuple[EventType, ...]],
) -> Settings:
    sections = load_schema("config.json")["properties"]
    store = _with_defaults(document.get("store", {}), sections["store"])
    delivery = _with_defaults(document.get("delivery", {}), sections["delivery"])
    proxies = _with_defaults(document.get("proxies", {}), sections["proxies"])
    reference = _with_defaults(document.get("reference", {}), sections["reference"])
    return Settings(
        source=path,
        store=store_settings(store, path.parent),
        delivery=DeliverySettings(
            push_budget_seconds=delivery["push_budget_seconds"],
            retry_for_seconds=delivery["retry_for_hours"] * 3600,
            keep_dead_letters_seconds=delivery["keep_dead_letters_days"] * 86400,
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
                browser_tokens=tuple(dict.fromkeys(project.get("browser_tokens", ()))),
                browser=_browser(project.get("browser", {})),
                segment_names=project.get("segment_names", "translate"),
            )
            for name, project in document["projects"].items()
        ),
        destinations=tuple(destinations),
        reference=reference["enabled"],
        trusted_proxies=tuple(proxies["trusted"]),
    )


def _browser(section: Mapping[str, Any]) -> BrowserSettings:
    return BrowserSettings(
        **{**section, "origins": tuple(dict.fromkeys(section.get("origins", ())))}
    )


def _with_defaults(section: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        key: rule["default"] for key, rule in schema["properties"].items() if "default" in rule
    }
    return {**defaults, **section}
