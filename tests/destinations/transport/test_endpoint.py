from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.destinations.transport.endpoint import (
    BASE_URL,
    TIMEOUT,
    base_url,
    base_url_problems,
    region,
)

HOSTS = {"us": "https://api.example.com", "eu": "https://eu.example.com"}


def test_the_region_says_the_host_and_the_first_one_is_the_default():
    assert region(HOSTS)["default"] == "us"
    assert region(HOSTS)["enum"] == ["us", "eu"]
    assert base_url({"region": "eu"}, HOSTS) == "https://eu.example.com"


def test_a_base_url_goes_before_the_region_and_keeps_its_path():
    settings = {"region": "eu", "base_url": "http://proxy:8080/segment/"}
    assert base_url(settings, HOSTS) == "http://proxy:8080/segment"


@pytest.mark.parametrize("url", ["http://localhost:8123", "https://example.com/a/b/"])
def test_a_good_base_url_has_no_problems(url):
    assert Draft202012Validator(BASE_URL).is_valid(url)
    assert base_url_problems({"base_url": url}) == []


def test_none_has_no_problems_either():
    assert base_url_problems({}) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "https://example.com:port",
            "base_url: this is not a URL; such as https://proxy.example.com is",
        ),
        ("https:///path", "base_url: it names no host"),
        ("https://me:hidden@example.com", "base_url: a password has no place in it"),
        ("https://example.com/?key=hidden", "base_url: it must end before any ? and #"),
        ("https://example.com/#hidden", "base_url: it must end before any ? and #"),
    ],
)
def test_the_problem_is_named_and_nothing_of_the_url_is_shown(url, problem):
    assert base_url_problems({"base_url": url}) == [problem]


@pytest.mark.parametrize(("seconds", "valid"), [(0, False), (0.1, True), (60, True), (61, False)])
def test_the_time_for_a_request_has_bounds(seconds, valid):
    assert Draft202012Validator(TIMEOUT).is_valid(seconds) is valid
