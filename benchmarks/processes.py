"""gunicorn with the shipped settings, for the service or for the bare application."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
SERVICE = "gunicorn.conf.py"
BARE = "benchmarks/bare.conf.py"


@contextlib.contextmanager
def running(settings: str, folder: Path, port: int, **environ: str) -> Iterator[None]:
    """SERVICE, with segmentstream.toml in the folder, or BARE; until the end of the block."""
    environ["SEGMENTSTREAM_CONFIG"] = str(folder / "segmentstream.toml")
    with (folder / f"log-{port}").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", settings, "--bind", f"127.0.0.1:{port}"],
            cwd=CHECKOUT,
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
        )
        try:
            wait_until_it_listens(port, process, Path(log.name))
            yield
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(1.0)  # the other workers
            return
        time.sleep(0.1)
    raise SystemExit(f"the service did not start:\n{log.read_text()}")
