"""`segmentstream-api check`: whether the service could start and take events."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from jsonschema.exceptions import SchemaError

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    add_json_option,
    config_path,
    read_settings,
)
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.table import counted, print_json, print_table
from segmentstream_api.commands.test_event import probe
from segmentstream_api.config import DestinationSettings, Project, Settings
from segmentstream_api.contract.schemas import Contract, schema_folder
from segmentstream_api.errors import ConfigError, SegmentStreamError
from segmentstream_api.store.base import Store
from segmentstream_api.store.factory import create_store

_EXIT_WRONG = 1
_EXIT_UNUSABLE = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what is wrong with it."""

    name: str
    what: str
    problems: Sequence[str] = ()


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "check",
        summary="Check configuration, schemas, store and destinations.",
        description="Without --send nothing is changed, no event is sent and no destination is"
        " contacted. Run it as the user that runs the service; the service may be running.\n\n"
        "--send delivers one event to each destination, past the store and without retries, and"
        " shows what became of it. It is named Test Event, its hitId begins with test-, and its"
        " context says test: true.\n\n"
        "The exit code is 1 if something is wrong, and 2 if the configuration is unusable; then"
        " all its problems are listed.",
        example="segmentstream-api check\nsegmentstream-api check --send",
        run=run,
    )
    parser.add_argument(
        "--send", action="store_true", help="send a test event to each destination as well"
    )
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    try:
        settings = read_settings(args)
    except ConfigError as error:
        if not args.json:
            raise
        problems = list(map(str, error.problems))
        _print_json([Check("configuration", str(config_path(args)), problems)])
        return _EXIT_UNUSABLE
    checks = [
        Check("configuration", _summary(settings)),
        check_schemas(schema_folder()),
        *map(_project, settings.projects),
        _store(settings),
        *map(_destination, settings.destinations),
    ]
    if args.send:
        checks += _sent(settings)
    if args.json:
        _print_json(checks)
    else:
        print_table(
            ("name", "what", "result"),
            [(each.name, each.what, "; ".join(each.problems) or "ok") for each in checks],
        )
    return _EXIT_WRONG if any(each.problems for each in checks) else 0


def _print_json(checks: Sequence[Check]) -> None:
    print_json(
        {
            "ok": not any(each.problems for each in checks),
            "checks": [asdict(each) for each in checks],
        }
    )


def _summary(settings: Settings) -> str:
    projects = counted(len(settings.projects), "project")
    return f"{settings.source}: {projects}, {counted(len(settings.destinations), 'destination')}"


def check_schemas(folder: Path) -> Check:
    paths = sorted(folder.rglob("*.json"))
    problems = [] if paths else [f"there are none in {folder}"]
    for path in paths:
        try:
            Contract(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, SchemaError) as error:
            problems.append(f"{path.name} is no schema: {str(error).splitlines()[0]}")
    return Check("schemas", counted(len(paths), "file"), problems)


def _project(project: Project) -> Check:
    rules = project.event_types
    own = f", {counted(len(rules.own), 'type')} of its own" if rules.own else ""
    what = f"project, event types: {rules.on_violation}{own}; unknown events: {rules.on_unknown}"
    return Check(project.name, what)


def _store(settings: Settings) -> Check:
    store = create_store(settings)
    try:
        return Check("store", store.describe(), _store_problems(store))
    except OSError as error:
        return Check("store", "", [f"{error.filename}: {error.strerror}"])


def _store_problems(store: Store) -> list[str]:
    try:
        if store.exists():
            with closing(store):
                store.check()
        else:
            store.require_makeable()
    except SegmentStreamError as error:
        return [str(error)]
    return []


def _destination(destination: DestinationSettings) -> Check:
    built = destination.build()
    try:
        return Check(destination.name, f"destination, {destination.cls.type_name}", built.check())
    finally:
        built.close()


def _sent(settings: Settings) -> list[Check]:
    checks = []
    with progress(len(settings.destinations), "destination") as bar:
        for configured in settings.destinations:
            taken, sentence = probe(settings, configured)
            what = f"test event: {sentence}" if taken else "test event"
            checks.append(Check(configured.name, what, () if taken else [sentence]))
            bar.update()
    return checks
