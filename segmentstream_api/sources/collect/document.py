"""A hit of the JavaScript SDK → a document for `schemas/track.json`.

A part that does not have the shape that the SDK gives it stays as it is, so that the schema
names what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segmentstream_api.event.user import with_user_in_event
from segmentstream_api.sources.base import SourceRequest
from segmentstream_api.sources.collect.clock import is_off
from segmentstream_api.sources.collect.corrections import corrected

_IDENTITY = ("userId", "anonymousId", "emailHash")
# What the SDK notes for its own server. `integrations` is not among what it sends: options of
# destinations are not for anybody who can read a page's source.
_LEFT_OUT = frozenset(
    {*_IDENTITY, "type", "version", "projectId", "projectName", "website", "integrations"}
)
_LIBRARY = "ddmanager.js"


def document_of(hit: Any, request: SourceRequest) -> Any:
    """The document; `sentAt` is left out, for the time of arrival, where the clock is off."""
    if not isinstance(hit, Mapping) or not isinstance(hit.get("event"), Mapping):
        return hit
    document = {name: value for name, value in hit.items() if name not in _LEFT_OUT}
    document["event"] = _event(hit)
    document["context"] = _context(hit, request)
    if is_off(hit.get("sentAt"), request.received_at):
        del document["sentAt"]
    identity = {name: hit[name] for name in _IDENTITY if hit.get(name) is not None}
    return _with_user(document, identity)


def _event(hit: Mapping[str, Any]) -> dict[str, Any]:
    event = corrected(hit["event"])
    website = hit.get("website")
    if website:  # the SDK sends an empty one until it knows the page
        event.setdefault("website", website)
    return event


def _context(hit: Mapping[str, Any], request: SourceRequest) -> Any:
    """With what the SDK leaves to the server: the address, and which library it is."""
    context = hit.get("context", {})
    if not isinstance(context, Mapping):
        return context
    found = dict(context)
    _fill(found, "ip", request.peer)
    _fill(found, "userAgent", request.headers.get("user-agent"))
    if hit.get("type") == "event":  # every hit of the SDK says so
        build = hit.get("version")
        library = {"name": _LIBRARY} | ({} if build is None else {"build": build})
        found.setdefault("library", library)
    return found


def _fill(context: dict[str, Any], name: str, value: str | None) -> None:
    if value and not context.get(name):
        context[name] = value


def _with_user(document: dict[str, Any], identity: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ids that stand at the top level of a hit, in `event.user`; what is there wins."""
    user, in_event = document.get("user", {}), document["event"].get("user", {})
    if not isinstance(user, Mapping) or not isinstance(in_event, Mapping):
        return document
    merged = {**user, **identity}
    return with_user_in_event({**document, "user": merged}) if merged else document
