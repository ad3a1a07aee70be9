"""`integrations` → which destinations get the event, and with which options.

The rule is Segment's, whose page the API follows: everything is on until it is switched off.
Called by the intake for the selection and by the delivery for the options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ALL = "all"
"""The reserved name that switches every destination at once; compared in any case."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a destination answers to: its own name and its type's display name."""

    own: str
    display: str

    def setting(self, integrations: Mapping[str, Any]) -> Any:
        """What `integrations` says for this destination: a boolean, options, or None if nothing.

        The own name goes before the display name, which several destinations may share.
        """
        said = {name.casefold(): value for name, value in integrations.items()}
        by_display = said.get(self.display.casefold())
        return said.get(self.own.casefold(), by_display)

    def options(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options that this event carries for the destination; `{}` if it carries none."""
        integrations = document.get("integrations")
        setting = self.setting(integrations) if integrations else None
        return setting if isinstance(setting, dict) else {}


@dataclass(frozen=True, slots=True)
class Selection:
    """The names of the destinations that get the event, and the names that nobody answers to."""

    destinations: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def select(integrations: Mapping[str, Any], destinations: Iterable[Names]) -> Selection:
    """Which of a project's destinations get an event that carries these `integrations`."""
    known = tuple(destinations)
    if not integrations:
        return Selection(tuple(names.own for names in known))
    said = {name.casefold(): value for name, value in integrations.items()}
    default = said.get(ALL, True) is not False
    chosen = []
    for names in known:
        setting = names.setting(integrations)
        if default if setting is None else setting is not False:
            chosen.append(names.own)
    answered = {ALL} | {word.casefold() for names in known for word in (names.own, names.display)}
    unknown = tuple(name for name in integrations if name.casefold() not in answered)
    return Selection(tuple(chosen), unknown)
