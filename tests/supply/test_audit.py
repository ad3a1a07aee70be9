"""The audit of script/check: the real pip-audit against a local stand-in for osv.dev."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segmentstream_api.testing import Peer, answer, closed_port
from tests.system.service import CHECKOUT

VULNERABILITY = {
    "id": "PYSEC-2",
    "aliases": ["CVE-2"],
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "urllib3", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.26.5"}]}],
        }
    ],
}


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("# pinned\nidna==3.20\nurllib3==1.26.4\n")
    return path


def audit(url: str, pins: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHECKOUT / "script" / "_audit", sys.executable, pins],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SEGMENTSTREAM_OSV_URL": f"{url}/v1/query"},
    )


def test_a_known_vulnerability_fails_and_is_named(pins: Path) -> None:
    def reply(request):
        vulnerable = json.loads(request.body)["package"]["name"] == "urllib3"
        known = {"vulns": [VULNERABILITY]} if vulnerable else {}
        return [answer("200 OK", json.dumps(known).encode())]

    with Peer(reply, keep_alive=True) as osv:
        done = audit(osv.url, pins)
    assert done.returncode == 1
    assert "PYSEC-2" in done.stdout
    assert "1.26.5" in done.stdout


def test_versions_without_a_known_vulnerability_pass(pins: Path) -> None:
    with Peer(answer("200 OK", b"{}"), keep_alive=True) as osv:
        done = audit(osv.url, pins)
    assert done.returncode == 0
    assert "No known vulnerabilities" in done.stderr
    asked = [json.loads(request.body)["package"]["name"] for request in osv.received]
    assert {"idna", "urllib3"} <= set(asked)


def test_an_unreachable_service_skips_the_audit_with_the_reason(pins: Path) -> None:
    done = audit(closed_port(), pins)
    assert done.returncode == 0
    assert "audit: skipped, the advisory service cannot be reached" in done.stdout
    assert "Connection refused" in done.stdout


def test_a_service_that_answers_no_question_skips_the_audit_with_the_reason(pins: Path) -> None:
    with Peer(answer("503 Service Unavailable")) as osv:
        done = audit(osv.url, pins)
    assert done.returncode == 0
    assert "audit: skipped" in done.stdout
    assert "503" in done.stdout
