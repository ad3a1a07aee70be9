"""What the tables of `projects` refer to: destinations, tokens, files of event types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

from segmentstream_api.config.places import dotted, strings, tables
from segmentstream_api.contract.event_types.files import EventType, own_types
from segmentstream_api.errors import Problem, UnusableSchemas


def cross_references(document: Mapping[str, Any]) -> Iterator[Problem]:
    known = [name for name, _ in tables(document, "destinations")]
    owners: dict[str, tuple[str, str]] = {}
    for name, project in tables(document, "projects"):
        for index, destination in strings(project, "destinations"):
            if destination not in known:
                yield Problem(
                    dotted(("projects", name, "destinations", str(index))),
                    f"is no destination; known: {', '.join(known) or 'none'}",
                )
        for kind in ("tokens", "browser_tokens"):
            for index, token in strings(project, kind):
                place = dotted(("projects", name, kind, str(index)))
                owner, owners_kind = owners.setdefault(token, (name, kind))
                if owner != name:
                    fault = f"is a token of project {owner!r} too; a token decides the project"
                    yield Problem(place, fault)
                elif owners_kind != kind:
                    yield Problem(place, "is in tokens too, which are secret")


def project_event_types(
    name: str, project: Mapping[str, Any], folder: Path
) -> tuple[tuple[EventType, ...], list[Problem]]:
    paths: dict[Path, str] = {}
    problems = []
    for index, pattern in strings(project, "schemas"):
        place = dotted(("projects", name, "schemas", str(index)))
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
