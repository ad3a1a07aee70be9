"""Whether a version in constraints.txt has a known vulnerability; script/check runs it.

    python -m script.audit [--osv-url URL] [FILE]

pip-audit asks osv.dev about each of them. Where osv.dev cannot be reached, the audit is skipped and
says so. That is asked first, and with a version that is known to be vulnerable, because pip-audit
itself fails in the same way without a network as with a defect of its own.

Exit codes: 0 nothing found or skipped, 1 a vulnerability, or the audit did not work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
OSV_URL = "https://api.osv.dev/v1/query"
PIP_AUDIT = (sys.executable, "-m", "pip_audit")

# The example of osv.dev's own documentation, https://google.github.io/osv.dev/quickstart.
VULNERABLE = {"version": "2.4.1", "package": {"name": "jinja2", "ecosystem": "PyPI"}}

# Vulnerabilities that do not concern us: an id or alias, and the reason. One that is no longer
# reported fails the check, so none stays here for longer than it must.
ACCEPTED: Mapping[str, str] = {}

# Statuses of a service, or of a proxy before it, that cannot or will not answer now.
REFUSALS = {403, 407, 429, 500, 502, 503, 504}

# For the first answer, name resolution included: what an offline run may cost.
REACH_SECONDS = 5.0
# For all of them: about a hundred requests, one after another.
AUDIT_SECONDS = 180.0


@dataclass(frozen=True)
class Vulnerability:
    """`names` are its id and aliases, `version` is such as `requests 2.1.0`."""

    version: str
    names: tuple[str, ...]
    fixed_in: tuple[str, ...]


class Unreachable(Exception):
    """No answer, or none now."""


class Broken(Exception):
    """The audit's service or program is there but does not do what it is for."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    pip_audit: Sequence[str] = PIP_AUDIT,
    accepted: Mapping[str, str] = ACCEPTED,
    reach_seconds: float = REACH_SECONDS,
) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--osv-url", default=OSV_URL, help="the service to ask")
    parser.add_argument(
        "file", nargs="?", type=Path, default=CONSTRAINTS, help="of pinned versions"
    )
    options = parser.parse_args(arguments)
    try:
        reach(options.osv_url, reach_seconds)
        try:
            found = vulnerabilities(options.osv_url, options.file, pip_audit)
        except Broken:
            reach(options.osv_url, reach_seconds)  # or was the service lost on the way?
            raise
    except Unreachable as error:
        print(f"audit: skipped, the advisory service cannot be reached ({error})")
        return 0
    except Broken as error:
        print(f"audit: failed, {error}")
        return 1
    wrong = problems(found, accepted)
    for problem in wrong:
        print(f"audit: {problem}")
    if not wrong:
        excepted = f" but the {len(accepted)} accepted" if accepted else ""
        print(f"audit: no known vulnerability in {len(pinned(options.file))} versions{excepted}")
    return 1 if wrong else 0


def reach(url: str, seconds: float) -> None:
    """Returns if the service tells of what is known. Raises Unreachable or Broken."""
    answers: list[requests.Response | requests.RequestException] = []

    def ask() -> None:
        try:
            answers.append(requests.post(url, json=VULNERABLE, timeout=seconds))
        except requests.RequestException as error:
            answers.append(error)

    # No timeout of requests covers the resolution of names, or an answer that drips.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    match answers:
        case []:
            raise Unreachable(f"{url}: no answer within {seconds:g} s")
        case [requests.Response() as answer] if answer.status_code in REFUSALS:
            raise Unreachable(f"{url}: it answers {answer.status_code}")
        case [requests.Response() as answer] if not knows(answer):
            raise Broken(f"{url} answers {answer.status_code}, not that jinja2 2.4.1 is vulnerable")
        case [requests.RequestException() as error]:
            raise Unreachable(f"{url}: {type(error).__name__}")


def knows(answer: requests.Response) -> bool:
    try:
        return answer.status_code == requests.codes.ok and bool(answer.json()["vulns"])
    except (ValueError, KeyError, TypeError):
        return False


def pinned(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def vulnerabilities(url: str, file: Path, pip_audit: Sequence[str]) -> list[Vulnerability]:
    """What pip-audit reports of the versions in the file; raises Broken if not of all of them."""
    command = [*pip_audit, "--requirement", str(file), "--no-deps", "--disable-pip"]
    service = ["--vulnerability-service", "osv", "--osv-url", url]
    output = ["--format", "json", "--desc", "off", "--aliases", "on", "--progress-spinner", "off"]
    try:
        run = subprocess.run(
            [*command, *service, *output],
            capture_output=True,
            text=True,
            timeout=AUDIT_SECONDS,
            check=False,
        )
        dependencies = json.loads(run.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise Broken(f"pip-audit did not end within {AUDIT_SECONDS:g} s") from None
    except (ValueError, KeyError, TypeError):
        raise Broken(f"pip-audit ended with {run.returncode}: {run.stderr.strip()}") from None
    audited = [each for each in dependencies if "vulns" in each]
    if len(audited) != len(pinned(file)):
        raise Broken(f"pip-audit looked at {len(audited)} of {len(pinned(file))} versions")
    return [
        Vulnerability(
            f"{each['name']} {each['version']}",
            (found["id"], *found["aliases"]),
            tuple(found["fix_versions"]),
        )
        for each in audited
        for found in each["vulns"]
    ]


def problems(found: Sequence[Vulnerability], accepted: Mapping[str, str]) -> list[str]:
    """What must be mended, a sentence each."""
    reported = {name for vulnerability in found for name in vulnerability.names}
    return [
        f"{vulnerability.version} has {', '.join(vulnerability.names)}; "
        f"fixed in {', '.join(vulnerability.fixed_in) or 'no version yet'}"
        for vulnerability in found
        if not accepted.keys() & set(vulnerability.names)
    ] + [
        f"{name} is accepted in script/audit.py, but nothing pinned has it: take it out"
        for name in accepted.keys() - reported
    ]


if __name__ == "__main__":
    sys.exit(main())
