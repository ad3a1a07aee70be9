"""One call → a document of schemas/track.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.sources.segment.calls import TYPES
from segmentstream_api.sources.segment.commerce import translated
from segmentstream_api.sources.segment.original import original
from segmentstream_api.sources.segment.user import user_of
from segmentstream_api.sources.segment.values import Unusable, identifier, members, text

_ASIDE = ("name", "user", "properties")
"""Properties whose names an event has for something else: they go to `event.properties`."""


def event_of(
    call: Mapping[str, Any], kind: str, context: Mapping[str, Any], names: str
) -> dict[str, Any]:
    """The document's `event`. `names` is the project's `segment_names`.

    Raises Unusable.
    """
    known = context.get("traits")
    traits = [known] if isinstance(known, dict) else []
    if kind == "identify":
        traits.append(members(call, "traits"))
    user = user_of(call, *traits)
    match kind:
        case "track":
            name, fields = _track(call, names)
        case "page":
            name, fields = "Viewed Page", {"page": _page(call)}
        case "screen":
            name, fields = "Viewed Screen", {"screen": _named(call)}
        case "identify":
            name, fields = "Updated Profile Info", {}
        case "group":
            group = {"id": _required(call, "groupId"), "traits": members(call, "traits")}
            name, fields = "Joined Group", {"group": group}
        case _:
            name, fields = "Merged User", {"previousId": _required(call, "previousId")}
    return {"name": name, **fields, "user": user}


def type_of(call: Mapping[str, Any], default: str | None) -> str:
    """Raises Unusable."""
    kind = call.get("type") or default
    if isinstance(kind, str) and kind.lower() in TYPES:
        return kind.lower()
    raise Unusable("/type", f"must be one of {', '.join(TYPES)}")


def context_of(
    call: Mapping[str, Any], kind: str, own: Mapping[str, Any], browser: Mapping[str, Any]
) -> dict[str, Any]:
    """The document's `context`: the call's own, then what its browser's request says."""
    return {**browser, **{name: value for name, value in own.items() if value is not None}} | {
        "segment": original(call, kind)
    }


def integrations_of(call: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a document may have: true, false or options by destination."""
    own = call.get("integrations")
    said = {**default, **own} if isinstance(own, dict) else default
    return {
        name: value
        for name, value in said.items()
        if name != "Segment.io" and isinstance(value, bool | dict)
    }


def _track(call: Mapping[str, Any], names: str) -> tuple[str, dict[str, Any]]:
    name = text(call.get("event"))
    if name is None:
        raise Unusable("/event", "is required: the event's name, a text that is not empty")
    properties: Mapping[str, Any] = members(call, "properties")
    if names == "translate":
        name, properties = translated(name, properties)
    fields = {key: value for key, value in properties.items() if key not in _ASIDE}
    aside = {key: properties[key] for key in _ASIDE if key in properties}
    return name, {**fields, "properties": aside} if aside else fields


def _page(call: Mapping[str, Any]) -> dict[str, Any]:
    page = _named(call)
    if "search" in page:
        page.setdefault("queryString", page.pop("search"))
    return page


def _named(call: Mapping[str, Any]) -> dict[str, Any]:
    """A page's or screen's properties, with its name and category among them."""
    own = {name: found for name in ("name", "category") if (found := text(call.get(name)))}
    return {**members(call, "properties"), **own}


def _required(call: Mapping[str, Any], name: str) -> str:
    found = identifier(call.get(name))
    if found is None:
        raise Unusable(f"/{name}", "is required, as text or a number")
    return found
