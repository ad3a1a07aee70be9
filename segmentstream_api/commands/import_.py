"""`segmentstream-api import`: posts the events of files to a running service, each of them once."""

from __future__ import annotations

import argparse
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from tqdm import tqdm

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_json_option,
    at_least_one,
)
from segmentstream_api.commands.documents import Document, read_documents, total_bytes
from segmentstream_api.commands.past_event import Past, past_event
from segmentstream_api.commands.posting import Posting, Rejection
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.service import TOKEN_HELP, Service, add_service_options
from segmentstream_api.commands.table import counted, print_json, printable
from segmentstream_api.errors import CommandError

_DEFAULT_CONCURRENCY = 8  # requests that wait for one commit together; more do not speed it up
_DEFAULT_PATIENCE_SECONDS = 600
_READ_AHEAD = 4  # documents for each request that is under way, so that none waits for the file


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "import",
        summary="Post the events of files to a running service, each of them once.",
        description="The files are JSON Lines, one event on each line, from the past: each line"
        " needs sentAt. A line without hitId gets one that is made of its content, so two equal"
        " lines are one event.\n\n"
        "If it is interrupted, run it again: what the service has already is acknowledged and"
        " delivered once. That holds for as long as the service remembers a hitId"
        " (dedup_window_hours, 24 unless configured); after that, leave out the lines that are"
        " done. A service that is busy or away is tried again.\n\n"
        "The exit code is 1 if a line was rejected, or if the service stayed away.\n\n"
        f"{TOKEN_HELP}",
        example="segmentstream-api import events-2025.jsonl\n"
        "zcat events.jsonl.gz | segmentstream-api import -",
        run=run,
        usage="%(prog)s [options] FILE...",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="JSON Lines; - is standard input")
    add_service_options(parser)
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=at_least_one,
        default=_DEFAULT_CONCURRENCY,
        help="requests side by side (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=at_least_one,
        default=_DEFAULT_PATIENCE_SECONDS,
        help="give up when the service takes nothing for so long (default: %(default)s)",
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    stop = threading.Event()
    accepted = 0
    rejected: list[tuple[Document, Rejection]] = []
    stopped: str | None = None
    with closing(Service(args, connections=args.concurrency)) as service:
        posting = Posting(service, stop, patience_seconds=args.patience)
        try:
            for document, rejection in _posted(args.files, posting, args.concurrency):
                accepted += rejection is None
                if rejection is not None:
                    rejected.append((document, rejection))
                    if not args.json:
                        for line in _sentences(document, rejection):
                            tqdm.write(printable(line))
        except CommandError as error:
            stopped = str(error)
        finally:
            stop.set()
    if args.json:
        listed = [each for document, rejection in rejected for each in _listed(document, rejection)]
        print_json(
            {
                "accepted": accepted,
                "rejected": len(rejected),
                "stopped": stopped,
                "reasons": listed,
            }
        )
    else:
        print(f"{counted(accepted, 'event')} accepted, {len(rejected)} rejected")
    if stopped and not args.json:
        raise CommandError(stopped)
    return 1 if rejected or stopped else 0


def _posted(
    files: Sequence[str], posting: Posting, concurrency: int
) -> Iterator[tuple[Document, Rejection | None]]:
    """Each document in the order of the files, once it was answered."""
    waiting: deque[tuple[Document, Future[Rejection | None]]] = deque()
    with (
        progress(total_bytes(files), "B", scale=True) as bar,
        ThreadPoolExecutor(concurrency) as threads,
    ):
        try:
            for document in read_documents(files):
                if len(waiting) == concurrency * _READ_AHEAD:
                    yield _answered(waiting.popleft(), bar)
                waiting.append((document, threads.submit(_post, posting, document)))
            while waiting:
                yield _answered(waiting.popleft(), bar)
        finally:
            posting.stop.set()
            threads.shutdown(cancel_futures=True)


def _post(posting: Posting, document: Document) -> Rejection | None:
    past = past_event(document.body)
    return posting.post(past.body) if isinstance(past, Past) else Rejection([("", past)])


def _answered(
    posted: tuple[Document, Future[Rejection | None]], bar: tqdm[Any]
) -> tuple[Document, Rejection | None]:
    document, future = posted
    try:
        rejection = future.result()
    except CommandError as error:
        raise CommandError(f"stopped at {_place(document)}: {error}") from error
    bar.update(document.taken_bytes)
    return document, rejection


def _place(document: Document) -> str:
    return document.file if document.line is None else f"{document.file}:{document.line}"


def _sentences(document: Document, rejection: Rejection) -> Iterator[str]:
    for pointer, detail in rejection.reasons:
        yield f"{_place(document)}: {pointer}{': ' * bool(pointer)}{detail}"


def _listed(document: Document, rejection: Rejection) -> list[dict[str, Any]]:
    return [
        {"file": document.file, "line": document.line, "pointer": pointer, "detail": detail}
        for pointer, detail in rejection.reasons
    ]
