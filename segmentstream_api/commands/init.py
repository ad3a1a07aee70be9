"""`segmentstream-api init`: a first configuration that works as it is."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path

from segmentstream_api.commands.arguments import (
    PROGRAM,
    Subparsers,
    add_command,
    add_config_option,
    config_path,
)
from segmentstream_api.commands.token import new_token
from segmentstream_api.config import DEFAULT_PATH
from segmentstream_api.config.trial_token import TOKEN_FILE
from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.errors import CommandError
from segmentstream_api.http.auth import token_digest

_OWNER_ONLY = 0o600

_CONFIGURATION = """\
# The configuration of the service. Paths are relative to this file; ${{NAME}} in a text is
# replaced by that environment variable. After a change: `segmentstream-api check`, then
# restart the service or send it SIGHUP.

[store]
# Keeps every accepted event until all its destinations have it. On a local disk.
url = "sqlite:///segmentstream.db"

[projects.{project}]
# The digests of the project's API tokens; `segmentstream-api token` makes another one.
tokens = ["{digest}"]
# Which of the destinations below get the project's events.
destinations = ["archive"]

[destinations.archive]
# One line of JSON for each event.
type = "file"
path = "events.jsonl"

# A webhook gets each event as a POST request. To use it, remove the `# ` of these lines,
# add "crm" to `destinations` above, and set CRM_WEBHOOK_SECRET for the service.
#
# [destinations.crm]
# type = "webhook"
# url = "https://crm.example.com/hooks/tracking"
# secret = "${{CRM_WEBHOOK_SECRET}}"
"""


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "init",
        summary="Make a first configuration.",
        description="It has one project with a fresh API token, and one destination, archive,"
        " which writes every event to events.jsonl. It can be served as it is.\n\n"
        f"The token itself goes to {TOKEN_FILE} beside it, for trying the service out; the"
        " configuration holds only its digest. Nothing that exists is overwritten.",
        example="segmentstream-api init --project shop\nsegmentstream-api serve",
        run=run,
    )
    add_config_option(parser)
    parser.add_argument(
        "--project",
        metavar="NAME",
        default="default",
        type=_project_name,
        help="the project's name (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    path = config_path(args)
    token = new_token()
    text = _CONFIGURATION.format(project=args.project, digest=token_digest(token))
    _create(path, text, "it is left as it is")
    token_path = path.with_name(TOKEN_FILE)
    try:
        _create(token_path, f"{token}\n", "another configuration may use it; choose another folder")
    except BaseException:
        path.unlink()
        raise
    option = "" if path == Path(DEFAULT_PATH) else f" --config {shlex.quote(str(path))}"
    print(
        f"Made {path}: project {args.project}, destination archive (events.jsonl).\n\n"
        f"The project's API token, shown only once:\n\n  {token}\n\n"
        f"{token_path} keeps it for trying out; remove that file later.\n\n"
        f"Next: {PROGRAM} serve{option}"
    )
    return 0


def _project_name(text: str) -> str:
    pattern = load_schema("config.json")["properties"]["projects"]["propertyNames"]["pattern"]
    if not re.fullmatch(pattern, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no project name; it must match {pattern}")
    return text


def _create(path: Path, text: str, what_then: str) -> None:
    """A new file with this text, or no file. Raises CommandError, saying `what_then` if it exists.

    O_EXCL: of two that do this at once, one makes the file and the other is refused.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError:
        raise CommandError(f"{path} exists; {what_then}") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be made: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except BaseException:
        path.unlink()
        raise
