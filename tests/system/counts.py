"""How much of each fault: enough to see it by default, the promised counts with `--long`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """`*_seconds` are how long a fault lasts, the others how often it happens."""

    worker_kills: int
    group_kills: int
    redelivery_kills: int
    flaky_events: int
    outage_seconds: float
    lock_seconds: float
    full_disks: int
    reloads: int
    repeats: int
    garbage: int
    twins: int
    database_crashes: int


SHORT = Counts(
    worker_kills=6,
    group_kills=2,
    redelivery_kills=3,
    flaky_events=500,
    outage_seconds=1.0,
    lock_seconds=5.6,
    full_disks=1,
    reloads=3,
    repeats=2_000,
    garbage=1_000,
    twins=40,
    database_crashes=1,
)
LONG = Counts(
    worker_kills=60,
    group_kills=12,
    redelivery_kills=25,
    flaky_events=10_000,
    outage_seconds=30.0,
    lock_seconds=10.0,
    full_disks=5,
    reloads=10,
    repeats=50_000,
    garbage=10_000,
    twins=1_000,
    database_crashes=5,
)
