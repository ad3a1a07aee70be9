"""Reading an envelope as vendors need it: who, what, when, where. Called by the adapters.

A client may put anything anywhere but for the user id, so each reading takes what has the right
type and is silent about the rest.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from segmentstream_api.destinations.base import Delivery
from segmentstream_api.timestamps import parse_instant

MAX_FLAT_NAME = 600
"""Characters; far longer than any vendor takes for the name of a property."""

_HIT_IDS = UUID("7c0be1b2-64a5-4a6e-9a4c-6f3f5c1f0d11")
"""Ours: makes a UUID of a hit id that is none, always the same one."""

MAX_EXACT = 2**53 - 1
"""The largest whole number that every JSON parser reads exactly: RFC 8259, section 6."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMAL = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?")
_NOT_PROPERTIES = frozenset({"name", "user"})
_NOT_TRAITS = frozenset({"userId", "anonymousId"})


class Envelope:
    """One delivery's envelope. Empty strings and values of another type count as absent."""

    def __init__(self, delivery: Delivery) -> None:
        self.name = delivery.event_name
        self.options = delivery.options
        self.document = delivery.document
        self.event: Mapping[str, Any] = self.document["event"]
        self.user = mapping(self.event.get("user"))
        self.context = mapping(self.document.get("context"))

    @property
    def hit_id(self) -> str:
        hit_id: str = self.document["hitId"]
        return hit_id

    @cached_property
    def uuid(self) -> str:
        """The hit id if it is a UUID, else one that is always made of it."""
        try:
            return str(UUID(self.hit_id))
        except ValueError:
            return str(uuid5(_HIT_IDS, f"{self.document['project']}\0{self.hit_id}"))

    @cached_property
    def sent_at(self) -> datetime:
        """When the event took place, in UTC: the client's `sentAt`, never the time of sending."""
        return parse_instant(self.document["sentAt"])

    @cached_property
    def happened_at(self) -> datetime:
        """`sent_at`, but never after the event came in: a client's clock may be ahead.

        For vendors that refuse events from the future.
        """
        return min(self.sent_at, parse_instant(self.document["receivedAt"]))

    @property
    def user_id(self) -> str | None:
        return text(self.user.get("userId"))

    @property
    def anonymous_id(self) -> str | None:
        return text(self.user.get("anonymousId"))

    @property
    def distinct_id(self) -> str:
        """The user id, else the anonymous one; the schema makes sure that there is one."""
        return self.user_id or self.anonymous_id or ""

    @property
    def traits(self) -> dict[str, Any]:
        """What is known of the user, without the ids."""
        return {key: value for key, value in self.user.items() if key not in _NOT_TRAITS}

    @property
    def properties(self) -> dict[str, Any]:
        """Everything of the event but its name and its user."""
        return {key: value for key, value in self.event.items() if key not in _NOT_PROPERTIES}

    @cached_property
    def ip(self) -> str | None:
        """`context.ip` if it is an address: the API's own example is none."""
        said = text(self.context.get("ip")) or ""
        if "%" in said:  # the zone of an IPv6 address means something on one machine only
            return None
        try:
            return str(ipaddress.ip_address(said))
        except ValueError:
            return None

    @property
    def user_agent(self) -> str | None:
        return text(self.context.get("userAgent"))

    @property
    def page(self) -> Mapping[str, Any]:
        return mapping(self.context.get("page"))


def milliseconds(moment: datetime) -> int:
    """Unix time, rounded down; negative before 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def text(value: Any) -> str | None:
    """The value if it is a string that is not empty."""
    return value if isinstance(value, str) and value else None


def identifier(value: Any) -> str | None:
    """An id as text; clients also write them as whole numbers."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else text(value)


def number(value: Any) -> int | float | None:
    """The value if it is a number, or a text that is one: older clients quote amounts.

    Beyond MAX_EXACT it is no amount of anything, and other JSON parsers would round it.
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= MAX_EXACT else None


def flat(properties: Mapping[str, Any], separator: str = "_") -> dict[str, Any]:
    """Nested objects drawn into one level: `{"a": {"b": 1}}` becomes `{"a_b": 1}`.

    An object whose name would be longer than MAX_FLAT_NAME is left out: names repeat those that
    they stand in, so deep ones would make a hundred megabytes of an event of 64 KB.
    """
    return dict(_flat(properties, separator, ""))


def _flat(properties: Mapping[str, Any], separator: str, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in properties.items():
        name = prefix + key
        if not isinstance(value, dict):
            yield name, value
        elif len(name) <= MAX_FLAT_NAME:
            yield from _flat(value, separator, name + separator)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
