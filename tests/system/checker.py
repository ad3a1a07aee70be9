"""The verdict on a run: what clients wrote down, held against what a destination wrote down.

Like Jepsen's total-queue checker: acknowledged events that never arrived are lost, arrivals that
nobody sent are unexpected, duplicates are counted. What was not acknowledged may have arrived.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.receiver import Receiver

ACKNOWLEDGED = 204


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one attempt: `status` is None where no answer came, and `error` says why."""

    hit_id: str
    status: int | None
    error: str | None
    seconds: float


class History:
    """Everything that clients sent, and every answer that they got."""

    def __init__(self, sent: Iterable[str], answers: Iterable[Answer]) -> None:
        self.sent = frozenset(sent)
        self.answers = tuple(answers)
        self.acknowledged = frozenset(
            answer.hit_id for answer in self.answers if answer.status == ACKNOWLEDGED
        )

    @classmethod
    def read(cls, *folders: Path) -> History:
        """From the logs that clients left in the folders, one file for each client."""
        entries = [
            json.loads(line)
            for folder in folders
            for log in sorted(folder.glob("*.jsonl"))
            for line in log.read_text("utf-8").splitlines()
        ]
        return cls(
            [entry["sent"] for entry in entries if "sent" in entry],
            [Answer(**entry) for entry in entries if "sent" not in entry],
        )

    def outcomes(self) -> Counter[int | str]:
        """How often each status came, and each error where none came."""
        return Counter(answer.status or str(answer.error) for answer in self.answers)

    def statuses(self) -> set[int]:
        """Every status that came."""
        return {answer.status for answer in self.answers if answer.status is not None}

    def seconds(self) -> list[float]:
        """How long each acknowledgement took, the fastest first."""
        return sorted(answer.seconds for answer in self.answers if answer.status == ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One attempt to deliver, as the destination saw it. A file knows no `key`.

    `kept` says that the destination has the event, whether or not its sender got to know.
    """

    hit_id: str
    body: str
    key: str | None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """`duplicates` counts the arrivals kept beyond the first of each event."""

    lost: frozenset[str]
    unexpected: frozenset[str]
    without_one_key: frozenset[str]
    """Events that came under several keys, or under another event's."""
    with_several_bodies: frozenset[str]
    duplicates: int

    def require(self, *, duplicates_at_most: int = 0) -> None:
        """Raises AssertionError unless all is well. Duplicates need a fault as their excuse."""
        faults = {
            "acknowledged and never delivered": self.lost,
            "delivered and never sent": self.unexpected,
            "without a key of its own": self.without_one_key,
            "with several bodies": self.with_several_bodies,
        }
        found = [
            f"{len(hit_ids)} {what}: {', '.join(sorted(hit_ids)[:5])}"
            for what, hit_ids in faults.items()
            if hit_ids
        ]
        if self.duplicates > duplicates_at_most:
            found.append(f"{self.duplicates} duplicates, at most {duplicates_at_most} allowed")
        assert not found, "; ".join(found)


def judge(history: History, arrivals: Iterable[Arrival]) -> Verdict:
    """Call it when nothing waits in the outbox any more."""
    kept: Counter[str] = Counter()
    keys: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    bodies: dict[str, set[str]] = defaultdict(set)
    for arrival in arrivals:
        kept[arrival.hit_id] += arrival.kept
        bodies[arrival.hit_id].add(arrival.body)
        if arrival.key is not None:
            keys[arrival.hit_id].add(arrival.key)
            owners[arrival.key].add(arrival.hit_id)
    delivered = {hit_id for hit_id, count in kept.items() if count}
    shared = (hit_ids for hit_ids in owners.values() if len(hit_ids) > 1)
    return Verdict(
        lost=history.acknowledged - delivered,
        unexpected=frozenset(bodies) - history.sent,
        without_one_key=_several(keys).union(*shared),
        with_several_bodies=_several(bodies),
        duplicates=kept.total() - len(delivered),
    )


def at_webhook(receiver: Receiver) -> Iterator[Arrival]:
    """A request that was answered 5xx was an attempt; one whose answer was cut was kept."""
    for request in receiver.requests():
        assert request["key"], f"a request without webhook-id: {request}"
        yield Arrival(
            hit_id=_hit_id(request["body"]),
            body=request["body"],
            key=request["key"],
            kept=request["status"] is None or request["status"] // 100 == 2,
        )


def in_file(path: Path) -> Iterator[Arrival]:
    for line in path.read_text("utf-8").splitlines():
        yield Arrival(hit_id=_hit_id(line), body=line, key=None)


def _hit_id(body: str) -> str:
    document: dict[str, Any] = json.loads(body)
    hit_id: str = document["hitId"]
    return hit_id


def _several(found: Mapping[str, set[str]]) -> frozenset[str]:
    return frozenset(hit_id for hit_id, values in found.items() if len(values) > 1)
