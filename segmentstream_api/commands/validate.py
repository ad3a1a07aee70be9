"""`segmentstream-api validate`: documents against the schema, as the service would check them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from segmentstream_api.body import MAX_BODY_BYTES, parse
from segmentstream_api.commands.arguments import Subparsers, add_command, add_json_option
from segmentstream_api.commands.documents import Document, read_documents, total_bytes
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.table import counted, print_json, printable
from segmentstream_api.errors import InvalidEvent, Refused, TooLarge, Violation
from segmentstream_api.schemas import Contract


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "validate",
        summary="Check events in files, without sending them.",
        description="Says of each document what the service would: whether it is strict JSON of"
        " at most 64 KB that keeps to schemas/track.json, and every place where it does not. It"
        " needs no configuration and no running service. The exit code is 1 if any document is"
        " invalid.\n\nA .json file holds one document; a .jsonl or .ndjson file, JSON Lines, one"
        " on each line. Other files and standard input may be either.",
        example="segmentstream-api validate event.json\n"
        "zcat events.jsonl.gz | segmentstream-api validate -",
        run=run,
        usage="%(prog)s [options] FILE...",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="file to check; - is standard input"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    contract = Contract.load("track.json")
    documents = invalid = count = 0
    listed: list[dict[str, Any]] = []
    with progress(total_bytes(args.files), "B", scale=True) as bar:
        for document in read_documents(args.files):
            violations = _violations(contract, document.body)
            documents += 1
            invalid += bool(violations)
            count += len(violations)
            if args.json:
                listed += _listed(document, violations)
            else:
                for line in _sentences(document, violations):
                    tqdm.write(printable(line))
            bar.update(document.taken_bytes)
    if args.json:
        print_json({"documents": documents, "invalid": invalid, "violations": listed})
    else:
        found = f"{invalid} invalid, {counted(count, 'violation')}" if invalid else "all valid"
        print(f"{counted(documents, 'document')}: {found}")
    return 1 if invalid else 0


def _violations(contract: Contract, body: bytes) -> Sequence[Violation]:
    """What is wrong with the document, in the service's own words."""
    try:
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"has more than {MAX_BODY_BYTES} bytes")
        contract.check(parse(body))
    except InvalidEvent as error:
        return error.violations
    except Refused as error:
        return (Violation("", error.detail),)
    return ()


def _sentences(document: Document, violations: Sequence[Violation]) -> Iterator[str]:
    line = "" if document.line is None else f":{document.line}"
    for violation in violations:
        pointer = f" {violation.pointer}:" if violation.pointer else ""
        yield f"{document.file}{line}:{pointer} {violation.detail}"


def _listed(document: Document, violations: Sequence[Violation]) -> list[dict[str, Any]]:
    return [
        {
            "file": document.file,
            "line": document.line,
            "pointer": violation.pointer,
            "detail": violation.detail,
        }
        for violation in violations
    ]
