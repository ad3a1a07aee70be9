"""What a test expected of an event against what was sent: compared, and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_NOTHING = object()
_MAX_EVENTS = 10  # the latest; a longer list is not read
_WIDEST_VALUE = 200  # characters


def differences(expected: Any, sent: Any, place: str = "") -> list[str]:
    """A line for each place where what was sent is not as expected.

    An object may have more members than are expected of it. Values are equal as JSON's are:
    1 is 1.0 and not true.
    """
    if isinstance(expected, Mapping) and isinstance(sent, Mapping):
        inner = f"{place}." if place else ""
        return [
            line
            for key, value in expected.items()
            for line in differences(value, sent.get(key, _NOTHING), f"{inner}{key}")
        ]
    if isinstance(expected, list | tuple) and isinstance(sent, list) and len(expected) == len(sent):
        return [
            line
            for index, value in enumerate(expected)
            for line in differences(value, sent[index], f"{place}[{index}]")
        ]
    if isinstance(expected, bool) == isinstance(sent, bool) and expected == sent:
        return []
    was = "is missing" if sent is _NOTHING else f"was {_shown(sent)}"
    return [f"{place}: expected {_shown(expected)}, {was}"]


def report(
    expected: Mapping[str, Any],
    accepted: Sequence[Mapping[str, Any]],
    rejected: Sequence[Mapping[str, Any]],
    waited_seconds: float,
) -> str:
    """For people: the expectation, how each accepted event differs, and what was refused."""
    return "\n".join(
        [
            f"no accepted event is as expected; waited {waited_seconds:g} s",
            "",
            "expected:",
            *(f"  {key}: {_shown(value)}" for key, value in expected.items()),
            "",
            *_told("accepted", accepted, lambda envelope: _difference(expected, envelope)),
            *_told("rejected", rejected, _refusal),
        ]
    ).rstrip()


def _told(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    lines_of: Callable[[Mapping[str, Any]], Iterator[str]],
) -> Iterator[str]:
    left_out = max(0, len(rows) - _MAX_EVENTS)
    shown = f", of which these are the last {_MAX_EVENTS}" if left_out else ""
    yield f"{title}: {len(rows) or 'nothing'}{shown}"
    for number, row in enumerate(rows[left_out:], start=left_out + 1):
        first, *others = lines_of(row)
        yield f"  {number}. {first}"
        yield from (f"       {line}" for line in others)
    yield ""


def _difference(expected: Mapping[str, Any], envelope: Mapping[str, Any]) -> Iterator[str]:
    yield f"event {_shown(envelope['event'].get('name'))}, hitId {_shown(envelope['hitId'])}"
    yield from differences(expected, envelope["event"])


def _refusal(refused: Mapping[str, Any]) -> Iterator[str]:
    yield f"{refused['method']} {refused['path']}: {refused['status']} {refused['code']}"
    violations = refused["violations"]
    for violation in violations:
        yield f"{violation['pointer'] or 'the document'}: {violation['detail']}"
    if not violations:
        yield str(refused["detail"])
    if "document" in refused:
        yield f"it was sent {_shown(refused['document'])}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # what a test expects need not be JSON
        text = repr(value)
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]}…"
