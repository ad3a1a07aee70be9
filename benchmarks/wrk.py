"""The load: wrk with track.lua."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "track.lua"


def is_missing() -> bool:
    return shutil.which("wrk") is None


def load(
    port: int, mode: str, seconds: float, connections: int, *, pause_ms: int = 0
) -> dict[str, Any]:
    """What wrk measured. Each connection pauses so long before each of its requests."""
    # A request may wait for the push budget, 2 s; wrk would by default call that a timeout.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}/track"]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MODE": mode, "PAUSE_MS": str(pause_ms)},
        timeout=seconds + 60,
    )
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result
