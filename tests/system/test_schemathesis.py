"""Schemathesis makes up requests from /openapi.json and holds every answer against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.system.service import CHECKOUT, Service, authorization, raw_exchange


def test_the_service_keeps_to_its_openapi_description(service: Service, tmp_path: Path) -> None:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"http://127.0.0.1:{service.port}/openapi.json",
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--seed", "1"),
            *("--include-path", "/track"),  # a hit at /collect is a text that only its SDK knows
            *("--max-examples", "200", "--header", f"Authorization: {authorization()}"),
            *("--report", "json", "--report-json-path", str(report), "--no-color"),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SCHEMATHESIS_HOOKS": "tests.system.schemathesis_hooks",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text("utf-8"))
    assert found["complete"]
    assert found["failures"] == found["errors"] == []
    assert not any(found["warnings"].values()), found["warnings"]
    assert found["test_cases"]["generated"] >= 400  # of the coverage and the fuzzing phase
    assert (service.folder / "events.jsonl").stat().st_size > 0
    assert "a request met a defect" not in service.log.read_text("utf-8")


def test_what_is_not_http_gets_the_problem_of_the_description(service: Service) -> None:
    service.configure({})
    service.start()
    description = json.loads(service.request("GET", "/openapi.json")[2])
    responses = description["paths"]["/track"]["post"]["responses"]
    examples = responses["400"]["content"]["application/problem+json"]["examples"].values()
    (example,) = [each["value"] for each in examples if each["value"]["code"] == "bad_request"]
    body = raw_exchange(service.port, b"nonsense\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert json.loads(body) == example
