"""`segmentstream-api import`: posts the events of files to a running service, each of them once."""

from __future__ import annotations

import argparse
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import takewhile
from typing import Any

from tqdm import tqdm

from segmentstream_api.commands.arguments import (
    PROGRAM,
    Subparsers,
    add_command,
    add_json_option,
    at_least_one,
)
from segmentstream_api.commands.documents import Document, read_documents, total_bytes
from segmentstream_api.commands.importing.outcome import INTERRUPTED, Outcome, place, sentences
from segmentstream_api.commands.importing.past_event import Past, past_event
from segmentstream_api.commands.importing.posting import Posting, Rejection
from segmentstream_api.commands.progress import progress
from segmentstream_api.commands.service_client import TOKEN_HELP, Service, add_service_options
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
        " lines are one event. A service that is busy or away is tried again.\n\n"
        "If it is interrupted, run it again: what the service has already is acknowledged and"
        " delivered once, for as long as it remembers a hitId (dedup_window_hours, 24 unless"
        " configured). When it stops it also says the line before which everything is done;"
        " --from-line goes on there, however long ago that was.\n\n"
        "The exit code is 0 if every line was accepted, 1 if one was rejected, and 2 if it had to"
        " stop before the end, as without a service or a valid token.\n\n"
        f"{TOKEN_HELP}",
        example="segmentstream-api import events-2025.jsonl\n"
        "zcat events.jsonl.gz | segmentstream-api import -",
        run=run,
        usage="%(prog)s [options] FILE...",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="JSON Lines; - is standard input")
    parser.add_argument(
        "--from-line",
        metavar="N",
        type=at_least_one,
        default=1,
        help="leave out the lines before this one in the first FILE",
    )
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
    outcome = Outcome()
    with closing(Service(args, connections=args.concurrency)) as service:
        posting = Posting(service, threading.Event(), patience_seconds=args.patience)
        try:
            for document, rejection in _posted(args, posting):
                outcome.add(document, rejection)
                if rejection is not None and not args.json:
                    for line in sentences(document, rejection):
                        tqdm.write(printable(line))
        except CommandError as error:
            outcome.stopped = str(error)
        except KeyboardInterrupt:
            outcome.stopped = INTERRUPTED
    if args.json:
        print_json(outcome.summary())
        return outcome.exit_code
    print(f"{counted(outcome.accepted, 'event')} accepted, {len(outcome.rejected)} rejected")
    if outcome.stopped:
        print(f"{PROGRAM}: {printable(outcome.stopped)}", file=sys.stderr)
        print(printable(outcome.way_on(args.files)), file=sys.stderr)
    return outcome.exit_code


def _posted(
    args: argparse.Namespace, posting: Posting
) -> Iterator[tuple[Document, Rejection | None]]:
    """Each document in the order of the files, once it was answered.

    Interrupted, it waits for the requests that are under way and raises KeyboardInterrupt then.
    """
    waiting: deque[tuple[Document, Future[Rejection | None]]] = deque()
    with (
        progress(total_bytes(args.files), "B", scale=True) as bar,
        ThreadPoolExecutor(args.concurrency) as threads,
    ):
        try:
            for document in read_documents(args.files):
                if document.file == args.files[0] and (document.line or 1) < args.from_line:
                    bar.update(document.taken_bytes)
                    continue
                if len(waiting) == args.concurrency * _READ_AHEAD:
                    answered = _answered(waiting[0], bar)
                    waiting.popleft()
                    yield answered
                waiting.append((document, threads.submit(_post, posting, document)))
            while waiting:
                answered = _answered(waiting[0], bar)
                waiting.popleft()
                yield answered
        except KeyboardInterrupt:
            posting.stop.set()
            threads.shutdown(cancel_futures=True)
            for each in takewhile(_was_answered, waiting):
                yield _answered(each, bar)
            raise
        finally:
            posting.stop.set()
            threads.shutdown(cancel_futures=True)


def _was_answered(posted: tuple[Document, Future[Rejection | None]]) -> bool:
    _, future = posted
    return not future.cancelled() and future.exception() is None


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
        raise CommandError(f"stopped at {place(document)}: {error}") from error
    bar.update(document.taken_bytes)
    return document, rejection
