"""`segmentstream-api validate`: documents against the schemas, as the service would check them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    add_json_option,
    read_settings,
)
from segmentstream_api.commands.documents import Document, files_in, read_documents, total_bytes
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.table import counted, print_json, print_table, printable
from segmentstream_api.commands.validating.verdict import Judge, Totals, Verdict
from segmentstream_api.contract.event_types.rules import EventTypes
from segmentstream_api.errors import CommandError


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "validate",
        summary="Check events in files, without sending them.",
        description="Says of each document what the service would: whether it is strict JSON of"
        " at most 64 KB that keeps to schemas/track.json and to the event type of its name, and"
        " every place where it does not. It needs no running service and, without --project, no"
        " configuration: then SegmentStream's event types are taken. The exit code is 1 if any"
        " document is invalid.\n\nA .json file holds one document; a .jsonl or .ndjson file, JSON"
        " Lines, one on each line. Other files and standard input may be either.",
        example="segmentstream-api validate event.json\n"
        "segmentstream-api validate --project shop events/\n"
        "zcat events.jsonl.gz | segmentstream-api validate -",
        run=run,
        usage="%(prog)s [options] FILE...",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="file or folder to check; - is standard input"
    )
    parser.add_argument(
        "--project", metavar="NAME", help="take the event types and rules of this project"
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="exit with 0 where an event type alone is broken; it is told all the same",
    )
    add_config_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    judge = Judge(_event_types(args), lenient=args.lenient)
    totals = Totals()
    listed: list[dict[str, Any]] = []
    files = files_in(args.files)
    with progress(total_bytes(files), "B", scale=True) as bar:
        for document in read_documents(files):
            verdict = judge.verdict(document.body)
            totals.add(verdict)
            if args.json:
                listed += _listed(document, verdict)
            else:
                for line in _sentences(document, verdict):
                    tqdm.write(printable(line))
            bar.update(document.taken_bytes)
    if args.json:
        print_json(
            {
                "documents": totals.documents,
                "invalid": totals.invalid,
                "event_types": totals.applied,
                "violations": listed,
            }
        )
    else:
        _print_summary(totals)
    return 1 if totals.invalid else 0


def _event_types(args: argparse.Namespace) -> EventTypes:
    if args.project is None:
        return EventTypes()
    settings = read_settings(args)
    for project in settings.projects:
        if project.name == args.project:
            return EventTypes(project.event_types)
    known = ", ".join(project.name for project in settings.projects)
    raise CommandError(f"{args.project!r} is no project of {settings.source}; known: {known}")


def _print_summary(totals: Totals) -> None:
    if totals.places:
        rows = [
            (event, pointer, str(documents))
            for (event, pointer), documents in sorted(totals.places.items())
        ]
        print_table(("event type", "place", "documents"), rows)
    count = counted(totals.violations, "violation")
    found = f"{totals.invalid} invalid, {count}" if totals.invalid else "all valid"
    if totals.violations and not totals.invalid:
        found = f"all valid but for {count} of event types"
    print(f"{counted(totals.documents, 'document')}: {found}")


def _sentences(document: Document, verdict: Verdict) -> Iterator[str]:
    line = "" if document.line is None else f":{document.line}"
    of = f" ({verdict.event_type.names[0]})" if verdict.event_type else ""
    for violation in verdict.violations:
        pointer = f" {violation.pointer}:" if violation.pointer else ""
        yield f"{document.file}{line}:{pointer} {violation.detail}{of}"


def _listed(document: Document, verdict: Verdict) -> list[dict[str, Any]]:
    of = verdict.event_type
    return [
        {
            "file": document.file,
            "line": document.line,
            "pointer": violation.pointer,
            "detail": violation.detail,
            "event_type": of and of.names[0],
            "schema": of.file if of else "schemas/track.json",
        }
        for violation in verdict.violations
    ]
