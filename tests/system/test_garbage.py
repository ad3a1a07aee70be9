"""Whatever comes in: no answer of 500 or more but for what the contract names, no dead worker."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.counts import Counts
from tests.system.service import DOCUMENTED_EXAMPLE, Service, authorization, raw_exchange

VALUES = [
    "null", "true", "-0", "1e400", "-1e-400", "NaN", "Infinity", "9" * 400, "9" * 5000, '"\\ud800"',
    '"\\u0000"', '"' + "a" * 60_000 + '"', "[" * 2000, "{" * 2000, '{"a":' * 70 + "1" + "}" * 70,
    '""', "[]", "{}", '"2019-02-30"', '"0001-01-01T00:00:00+14:00"', '"\N{PILE OF POO}"', "\x00",
]  # fmt: skip
HEADERS = [
    b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n", b"Content-Length: 1e3\r\n", b"Expect: 100-continue\r\n",
    b"Content-Encoding: gzip\r\n", b"Authorization: Basic \xff\xfe\r\n", b"X: \x00\r\n", b":\r\n",
    b"Host\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Cookie: " + b"a" * 9000 + b"\r\n",
]  # fmt: skip


def mutated(example: bytes, chance: random.Random) -> bytes:
    """The example with a piece cut out, doubled, flipped or replaced."""
    body = bytearray(example)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) or 1)
        end = start + chance.randint(0, 20)
        match chance.randrange(5):
            case 0:
                del body[start:end]
            case 1:
                body[start:start] = body[start:end]
            case 2:
                body[start:end] = bytes(chance.randrange(256) for _ in range(end - start))
            case 3:
                body[start:end] = chance.choice(VALUES).encode()
            case 4:
                body = body[: start + 1]
    return bytes(body)


def replaced(chance: random.Random) -> bytes:
    """The example with a hostile value in one of its places."""
    text = json.dumps(DOCUMENTED_EXAMPLE)
    found = [str(value) for value in _leaves(DOCUMENTED_EXAMPLE)]
    return text.replace(json.dumps(chance.choice(found)), chance.choice(VALUES), 1).encode()


def _leaves(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    else:
        yield value


def message(number: int) -> bytes:
    """A request that may be wrong in its body, in its headers, or as HTTP."""
    chance = random.Random(number)
    body = (
        replaced(chance) if number % 2 else mutated(json.dumps(DOCUMENTED_EXAMPLE).encode(), chance)
    )
    head = b"POST /track HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    if chance.random() < 0.95:
        head += f"Authorization: {authorization()}\r\n".encode()
    if chance.random() < 0.95:
        head += b"Content-Type: application/json\r\n"
    if chance.random() < 0.15:
        head += chance.choice(HEADERS)
    length = len(body) if chance.random() < 0.9 else chance.randrange(100_000)
    head += b"Content-Length: %d\r\n\r\n" % length
    whole = head + body
    return mutated(whole, chance) if chance.random() < 0.1 else whole


def test_garbage_gets_no_5xx_and_kills_nobody(service: Service, counts: Counts) -> None:
    service.configure({"archive": {"type": "file", "path": "events.jsonl"}})
    service.start()
    pids = sorted(service.worker_pids())
    count = counts.garbage

    def send(number: int) -> int:
        answer = raw_exchange(service.port, message(number), close_after=True)
        return int(answer.split()[1]) if answer else 0  # 0: closed, as for an empty request

    with ThreadPoolExecutor(8) as clients:
        statuses = Counter(clients.map(send, range(count)))

    assert set(statuses) <= {0, 100, 204, 400, 401, 404, 405}, statuses
    assert statuses[204] > 0
    assert statuses[400] > count / 4
    assert sorted(service.worker_pids()) == pids
    for line in (service.folder / "events.jsonl").read_text("utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)
