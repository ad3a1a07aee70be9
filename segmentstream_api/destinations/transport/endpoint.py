"""Where a vendor's API is and how long a request may take: settings that the vendors share.

Used by the adapters, in their settings schema and their `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT: Mapping[str, Any] = {
    "description": "How long one request may take, from connecting to the last byte.",
    "type": "number",
    "minimum": 0.1,
    "maximum": 60,
    "default": 10,
}
BASE_URL: Mapping[str, Any] = {
    "description": "Where the API is instead of at the region's host, such as at a proxy: "
    "http:// or https://, with or without a path.",
    "type": "string",
    "pattern": "^https?://",
}


def region(hosts: Mapping[str, str]) -> dict[str, Any]:
    """The setting `region`, one of `hosts`, the first by default."""
    return {
        "description": "Where the vendor keeps the project's data.",
        "enum": list(hosts),
        "default": next(iter(hosts)),
    }


def base_url(settings: Mapping[str, Any], hosts: Mapping[str, str]) -> str:
    """The URL before the API's paths, without a slash at its end."""
    url: str = settings.get("base_url") or hosts[settings["region"]]
    return url.rstrip("/")


def base_url_problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the setting `base_url`, if it is given; it shows nothing of it."""
    try:
        parts = urlsplit(settings.get("base_url", "https://not.given"))
        host, _port = parts.hostname, parts.port
    except ValueError:  # its text holds the URL
        return ["base_url: this is not a URL; such as https://proxy.example.com is"]
    problems = []
    if not host:
        problems.append("base_url: it names no host")
    if "@" in parts.netloc:
        problems.append("base_url: a password has no place in it")
    if parts.query or parts.fragment:
        problems.append("base_url: it must end before any ? and #")
    return problems
