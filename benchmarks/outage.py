"""What an outage of every destination costs: acknowledgements during it, the backlog after it.

    script/benchmark outage [--type clickhouse|webhook] [--rate 300] [--minutes 60] [--latency-ms 0]

A store is filled with what arrives in that time at that rate, for one destination that is down.
Then the service runs under the same rate: first without the destination, which gives the latency
of an acknowledgement with the breaker open; then with it, until nothing waits any more. The
destination is a bare Falcon application on the same machine. It ends on its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wrk
from processes import BARE, CHECKOUT, SERVICE, free_port, running

from segmentstream_api.app import create_store
from segmentstream_api.config import load_settings
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.event.event import new_event

EXAMPLE = CHECKOUT / "tests/cases/track/valid/documented-example.json"
DIGEST = "sha256:6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"  # of abc123
CONNECTIONS = 32
AT_ONCE = 1000  # events in one transaction when the store is filled
MAX_SECONDS = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--type", choices=("clickhouse", "webhook"), default="clickhouse")
    parser.add_argument("--rate", type=positive, default=300, help="events a second, about")
    parser.add_argument("--minutes", type=positive, default=60, help="how long it was down")
    parser.add_argument("--seconds", type=positive, default=20, help="load with the breaker open")
    parser.add_argument("--latency-ms", type=float, default=0, help="what the destination takes")
    parser.add_argument("--concurrency", type=int, help="of the destination, if not the usual")
    arguments = parser.parse_args()
    if wrk.is_missing():
        print("wrk is needed (Debian, Ubuntu: apt-get install wrk)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=CHECKOUT) as name:
        measure(Path(name), arguments)
    return 0


def positive(text: str) -> float:
    """A number above 0. Raises ArgumentTypeError with what is allowed."""
    with contextlib.suppress(ValueError):
        number = float(text)
        if 0 < number < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    port, destination = free_port(), free_port()
    pause_ms = round(CONNECTIONS * 1000 / arguments.rate)
    (folder / "segmentstream.toml").write_text(configuration(arguments, destination), "utf-8")
    backlog = int(arguments.rate * arguments.minutes * 60)
    say(f"filling the store with {backlog:,} events …")
    fill(folder / "segmentstream.toml", backlog)
    with running(SERVICE, folder, port):
        wrk.load(port, "new", 5, CONNECTIONS, pause_ms=pause_ms)  # opens the breakers
        say(f"the destination is down: {arguments.seconds:g} s of load …")
        down = wrk.load(port, "new", arguments.seconds, CONNECTIONS, pause_ms=pause_ms)
        latency = {"LATENCY_MS": str(arguments.latency_ms), "SEGMENTSTREAM_THREADS": "64"}
        with running(BARE, folder, destination, **latency):
            seconds, live = drain(folder, port, pause_ms)
    wrong = [each for each in (down, *live) if each["not_2xx"] or each["failed"]]
    if wrong:
        raise SystemExit(f"unexpected answers: {wrong}")
    arrived = sum(each["requests"] for each in live)
    print(f"type {arguments.type}, {backlog:,} events waited, live load {rate(down):,.0f}/s")
    print(f"acknowledged with the breaker open: p50 {down['p50_ms']} ms, p99 {down['p99_ms']} ms")
    print(
        f"drained in {seconds / 60:.1f} minutes of live load ({arrived:,} more events): "
        f"{(backlog + down['requests'] + arrived) / seconds:,.0f} deliveries/s, "
        f"acknowledged meanwhile: p99 {max(each['p99_ms'] for each in live)} ms"
    )


def configuration(arguments: argparse.Namespace, port: int) -> str:
    url = "base_url" if arguments.type == "clickhouse" else "url"
    concurrency = f"concurrency = {arguments.concurrency}" if arguments.concurrency else ""
    return f"""
        [store]
        disk_floor_megabytes = 64
        [projects.shop]
        tokens = ["{DIGEST}"]
        destinations = ["crm"]
        [destinations.crm]
        type = "{arguments.type}"
        {url} = "http://127.0.0.1:{port}"
        {concurrency}
        """


def fill(config: Path, count: int) -> None:
    """As the intake stores what arrives while the breaker is open."""
    settings = load_settings(config, environ={}, registry=load_registry())
    document = json.loads(EXAMPLE.read_text("utf-8"))["document"]
    with contextlib.closing(create_store(settings)) as store:
        store.open()
        for start in range(0, count, AT_ONCE):
            events = [
                new_event("shop", {**document, "hitId": str(uuid.uuid4())}, received_at=time.time())
                for _ in range(min(AT_ONCE, count - start))
            ]
            store.accept_all([(event, {"crm": 0.0}) for event in events])


def drain(folder: Path, port: int, pause_ms: int) -> tuple[float, list[dict[str, Any]]]:
    """Seconds until nothing waited, and what wrk measured meanwhile."""
    began = time.monotonic()
    live: list[dict[str, Any]] = []
    empty = threading.Event()

    def load() -> None:
        while not empty.is_set():
            live.append(wrk.load(port, "new", 10, CONNECTIONS, pause_ms=pause_ms))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for left in backlogs(folder):
            say(f"{time.monotonic() - began:5.0f} s: {left:,} wait")
            if left < CONNECTIONS:  # those are on their way
                return time.monotonic() - began, live
        raise SystemExit(f"not drained in {MAX_SECONDS:g} s")
    finally:
        empty.set()
        loading.join()


def backlogs(folder: Path) -> Iterator[int]:
    """What waits, every other second."""
    deadline = time.monotonic() + MAX_SECONDS
    command = [sys.executable, "-m", "segmentstream_api", "status", "--json"]
    while time.monotonic() < deadline:
        time.sleep(2.0)
        status = subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=60)
        yield json.loads(status.stdout)["destinations"][0]["waiting"]


def rate(run: dict[str, Any]) -> float:
    per_second: float = run["requests"] / run["seconds"]
    return per_second


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
