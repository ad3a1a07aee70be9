"""Checks what the schema cannot say about browsers and proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from segmentstream_api.config.places import dotted, strings, tables
from segmentstream_api.errors import Problem


def check_browsers(document: Mapping[str, Any]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, project in tables(document, "projects"):
        browser = project.get("browser")
        if not isinstance(browser, Mapping):
            continue
        project_id = browser.get("project_id")
        if not isinstance(project_id, str):
            continue
        if not browser.get("origins"):
            yield Problem(
                dotted(("projects", name, "browser", "origins")),
                "must name an origin: without one no page may send with the project_id",
            )
        owner = owners.setdefault(project_id, name)
        if owner != name:
            yield Problem(
                dotted(("projects", name, "browser", "project_id")),
                f"is the project_id of project {owner!r} too; it decides the project",
            )
    yield from _check_proxies(document)


def _check_proxies(document: Mapping[str, Any]) -> Iterator[Problem]:
    section = document.get("proxies")
    if not isinstance(section, Mapping):
        return
    for index, network in strings(section, "trusted"):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield Problem(
                dotted(("proxies", "trusted", str(index))),
                "must be an address or a network, such as 10.0.0.0/8 or ::1",
            )
