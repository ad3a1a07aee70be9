"""A request's body → the calls in it, one object each, with what the batch says for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from segmentstream_api.errors import InvalidEvent, TooLarge, Violation
from segmentstream_api.sources.base import SourceRequest

MAX_CALLS = 2_500
"""Ours: SDKs send up to 250. It bounds one transaction, and the work for a hostile body."""

TYPES = ("track", "identify", "page", "screen", "group", "alias")
_TYPE_OF_PATH = {name: name for name in TYPES} | {name[0]: name for name in TYPES}
_BATCH_PATHS = frozenset({"batch", "b", "import"})
_DEFAULTS = ("context", "integrations")


@dataclass(frozen=True, slots=True)
class Batch:
    """`calls` are any JSON, for nothing has been checked yet."""

    calls: list[Any]
    defaults: Mapping[str, Any]
    """What a call gets that does not say it: `sentAt`, `context`, `integrations`, `type`."""


def is_batch(request: SourceRequest) -> bool:
    """Whether its path takes `{"batch": […]}`, and not one call."""
    return _last(request.path) in _BATCH_PATHS


def calls_in(document: Any, request: SourceRequest) -> Batch:
    """The calls in the body of a request to one of the source's paths.

    Raises InvalidEvent if there is no list of calls, TooLarge if there are more than MAX_CALLS.
    """
    if not isinstance(document, dict):
        raise InvalidEvent([Violation("", "must be an object")], of="a call")
    sent_at = document.get("sentAt") or request.headers.get("sentat")
    if not is_batch(request):
        kind = _TYPE_OF_PATH.get(_last(request.path))
        return Batch([document], {"type": kind, "sentAt": sent_at})
    calls = document.get("batch")
    if not isinstance(calls, list):
        raise InvalidEvent([Violation("/batch", "must be an array of calls")], of="a batch")
    if len(calls) > MAX_CALLS:
        raise TooLarge(f"A batch may have up to {MAX_CALLS} calls; {len(calls)} were sent.", 413)
    own = {name: document[name] for name in _DEFAULTS if isinstance(document.get(name), dict)}
    return Batch(calls, {**own, "sentAt": sent_at})


def write_keys(document: Any) -> Iterator[str]:
    """The write keys in a body: its own, then its calls'."""
    if not isinstance(document, dict):
        return
    calls = document.get("batch")
    for holder in (document, *(calls if isinstance(calls, list) else ())):
        key = holder.get("writeKey") if isinstance(holder, dict) else None
        if isinstance(key, str) and key:
            yield key


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
