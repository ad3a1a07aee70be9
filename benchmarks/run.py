"""Requests a second of `/track`, as shares of a bare Falcon application under the same gunicorn.

    script/benchmark [--seconds 8] [--rounds 3] [--connections 32] [--postgresql URL]

Every round runs every scenario in turn, so a machine whose speed drifts drifts for all of them; the
table shows the medians. It talks to this machine only and ends on its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wrk
from processes import BARE, CHECKOUT, SERVICE, free_port, running

DIGEST = "sha256:6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090"  # of abc123
BARE_FALCON = "bare Falcon, 204"
DURABLE = "new events to a file, durable"


@dataclass(frozen=True)
class Scenario:
    """`neighbour` is a second destination beside the file; `mode` is track.lua's."""

    name: str
    mode: str = "new"
    neighbour: str | None = None
    bare: bool = False
    store_url: str | None = None
    expects_2xx: bool = True


SCENARIOS = (
    Scenario(BARE_FALCON, bare=True),
    Scenario(DURABLE),
    Scenario("… beside a dead destination", neighbour="dead"),
    Scenario("… beside a hanging destination", neighbour="hanging"),
    Scenario("duplicates only", mode="same"),
    Scenario("rejected only (400)", mode="broken", expects_2xx=False),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8, help="load of each scenario")
    parser.add_argument("--rounds", type=int, default=3, help="the table shows the medians")
    parser.add_argument("--connections", type=int, default=32, help="kept alive all the time")
    parser.add_argument(
        "--postgresql", metavar="URL", help="measure a store in this database, too, as it is there"
    )
    arguments = parser.parse_args()
    if wrk.is_missing():
        print("wrk is needed (Debian, Ubuntu: apt-get install wrk)", file=sys.stderr)
        return 2
    scenarios: tuple[Scenario, ...] = SCENARIOS
    if arguments.postgresql:
        scenarios += (Scenario(f"{DURABLE} on PostgreSQL", store_url=arguments.postgresql),)
    results: dict[str, list[dict[str, Any]]] = {each.name: [] for each in scenarios}
    for number in range(1, arguments.rounds + 1):
        for scenario in scenarios:
            print(f"round {number}: {scenario.name} …", file=sys.stderr, flush=True)
            results[scenario.name].append(
                measure(scenario, arguments.seconds, arguments.connections)
            )
    print_table(results)
    return 0


def measure(scenario: Scenario, seconds: float, connections: int) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=CHECKOUT) as folder,
        neighbour_url(scenario.neighbour) as url,
        service(scenario, Path(folder), url) as port,
    ):
        wrk.load(port, scenario.mode, 1.0, connections)  # warms up
        result = wrk.load(port, scenario.mode, seconds, connections)
    wrong = result["not_2xx"] if scenario.expects_2xx else result["requests"] - result["not_2xx"]
    if wrong or result["failed"]:
        raise SystemExit(f"{scenario.name}: unexpected answers: {result}")
    return result


@contextlib.contextmanager
def service(scenario: Scenario, folder: Path, neighbour: str | None) -> Iterator[int]:
    """The port of a fresh service with an empty store, on the disk of the checkout."""
    (folder / "segmentstream.toml").write_text(
        configuration(neighbour, scenario.store_url), "utf-8"
    )
    port = free_port()
    with running(BARE if scenario.bare else SERVICE, folder, port):
        yield port


def configuration(neighbour: str | None, store_url: str | None) -> str:
    names = ["archive", "neighbour"] if neighbour else ["archive"]
    text = f"""
        [store]
        url = {json.dumps(store_url or "sqlite:///segmentstream.db")}
        disk_floor_megabytes = 64
        [projects.shop]
        tokens = ["{DIGEST}"]
        destinations = {json.dumps(names)}
        [destinations.archive]
        type = "file"
        path = "events.jsonl"
        """
    if neighbour:
        text += f"""
        [destinations.neighbour]
        type = "webhook"
        url = "{neighbour}"
        """
    return text


@contextlib.contextmanager
def neighbour_url(kind: str | None) -> Iterator[str | None]:
    """Of a destination that refuses connections, or takes them and never answers."""
    if kind is None:
        yield None
    elif kind == "dead":
        yield f"http://127.0.0.1:{free_port()}/"
    else:
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            taken: list[socket.socket] = []

            def take() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        taken.append(listener.accept()[0])

            threading.Thread(target=take, daemon=True).start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
            for connection in taken:
                connection.close()


def print_table(results: dict[str, list[dict[str, Any]]]) -> None:
    """Markdown, as benchmarks/README.md keeps it."""
    print("| scenario | requests/s | p50 ms | p99 ms | share of bare Falcon | of durable |")
    print("|---|---|---|---|---|---|")
    for name, runs in results.items():
        rates = [rate(run) for run in runs]
        shares = [
            rate(run) / rate(bare) for run, bare in zip(runs, results[BARE_FALCON], strict=True)
        ]
        healthy = [rate(run) / rate(one) for run, one in zip(runs, results[DURABLE], strict=True)]
        p50, p99 = (statistics.median(run[key] for run in runs) for key in ("p50_ms", "p99_ms"))
        print(
            f"| {name} | {statistics.median(rates):,.0f} | {p50:.1f} | {p99:.1f} "
            f"| {statistics.median(shares):.2f} | {statistics.median(healthy):.2f} |"
        )


def rate(run: dict[str, Any]) -> float:
    per_second: float = run["requests"] / run["seconds"]
    return per_second


if __name__ == "__main__":
    raise SystemExit(main())
