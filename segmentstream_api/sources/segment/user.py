"""Who a call is about: its ids and traits → `event.user`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from segmentstream_api.sources.segment.values import Unusable, identifier

# Traits by the names of SDKs and of their users → the service's own.
_TRAITS: Mapping[str, str] = MappingProxyType(
    {
        "first_name": "firstName",
        "firstname": "firstName",
        "last_name": "lastName",
        "lastname": "lastName",
        "phone_number": "phone",
        "phoneNumber": "phone",
        "birthday": "birthDate",
    }
)
_IDS = frozenset({"userId", "anonymousId"})


def user_of(call: Mapping[str, Any], *traits: Mapping[str, Any]) -> dict[str, Any]:
    """The ids and the traits, of which later ones win.

    Raises Unusable for a call without any id.
    """
    ids = {
        name: found for name in ("userId", "anonymousId") if (found := identifier(call.get(name)))
    }
    if not ids:
        raise Unusable("/userId", "userId or anonymousId is required, as text or a number")
    merged: dict[str, Any] = {}
    for each in traits:
        merged |= each
    named = {
        name: value
        for name, value in merged.items()
        if name not in _IDS and _TRAITS.get(name) not in merged
    }
    return {**{_TRAITS.get(name, name): value for name, value in named.items()}, **ids}
