"""How often an address and a project are admitted."""

from __future__ import annotations

import pytest

from segmentstream_api.config import BrowserSettings, Project
from segmentstream_api.errors import TooManyRequests
from segmentstream_api.http.rate_limit import RateLimits, TokenBuckets
from tests.fakes import Clock


def limits(clock, rate=1000.0, per_address=1.0):
    browser = BrowserSettings(
        max_requests_per_second=rate, max_requests_per_second_per_address=per_address
    )
    return RateLimits([Project("shop", (), (), browser=browser)], lambda: clock.now)


def admitted(limits, peer, count):
    """How many of so many requests are."""
    total = 0
    for _ in range(count):
        try:
            limits.admit(peer, "shop")
        except TooManyRequests:
            continue
        total += 1
    return total


def test_what_was_saved_up_in_ten_seconds_may_be_used_at_once():
    clock = Clock()
    limited = limits(clock)
    assert admitted(limited, "203.0.113.7", 30) == 10
    clock.now += 3
    assert admitted(limited, "203.0.113.7", 30) == 3
    clock.now += 3600
    assert admitted(limited, "203.0.113.7", 30) == 10


def test_an_address_does_not_use_up_what_others_have():
    limited = limits(Clock())
    assert admitted(limited, "203.0.113.7", 30) == 10
    assert admitted(limited, "203.0.113.8", 5) == 5


def test_a_household_of_ipv6_is_one_address():
    limited = limits(Clock())
    assert admitted(limited, "2001:db8:1:2::1", 10) == 10
    assert admitted(limited, "2001:db8:1:2:ffff::9", 1) == 0
    assert admitted(limited, "2001:db8:1:3::1", 1) == 1


def test_a_project_is_limited_whatever_the_addresses():
    limited = limits(Clock(), rate=0.5)
    assert sum(admitted(limited, f"203.0.113.{number}", 1) for number in range(20)) == 5


def test_without_an_address_only_the_project_counts():
    assert admitted(limits(Clock()), None, 30) == 30


def test_a_refused_request_says_when_the_next_is_admitted():
    clock = Clock()
    limited = limits(clock, per_address=0.25)
    assert admitted(limited, "203.0.113.7", 2) == 2
    with pytest.raises(TooManyRequests) as refused:
        limited.admit("203.0.113.7", "shop")
    clock.now += refused.value.retry_after_seconds
    limited.admit("203.0.113.7", "shop")


def test_memory_is_bounded_by_forgetting_the_quietest():
    clock = Clock()
    buckets = TokenBuckets(0.1, lambda: clock.now, max_names=2)
    assert [buckets.take(name) for name in ("a", "b")] == [0, 0]
    assert buckets.take("a") > 0
    assert buckets.take("c") == 0  # b goes
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0
