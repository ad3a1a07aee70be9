"""What the SDKs need to be answered; docs/sources.md has what each does with which answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from segmentstream_api.errors import InvalidEvent, Refused, Violation
from segmentstream_api.sources.base import Answer, Result

MAX_ERRORS = 10  # ours: of one call in the answer to a batch

_OWN_STATUSES = {403: 401}  # SDKs drop a batch after both; only 401 is in their documentation


def answer(results: Sequence[Result], *, is_single: bool) -> Answer:
    """Exactly 200 with a JSON object, since several SDKs send again after anything else.

    A 4xx makes an SDK drop the whole batch, its good calls too. So it is raised only if all calls
    were refused; otherwise the answer names those that were.
    """
    refused = list(_refused(results))
    if not refused:
        return Answer(200, {"success": True})
    if len(refused) == len(results):
        prefix = "" if is_single else "/batch/{index}"
        raise InvalidEvent(
            [
                Violation(prefix.format(index=index) + each.pointer, each.detail)
                for index, _, error in refused[:MAX_ERRORS]
                for each in _violations(error)
            ],
            of="a call" if is_single else "a call; no call of the batch can be used",
            places=(place for _, _, error in refused for place in getattr(error, "places", ())),
        )
    rejected = [
        {
            "index": index,
            "messageId": result.message.id,
            "errors": [
                {"pointer": each.pointer, "detail": each.detail} for each in _violations(error)
            ],
        }
        for index, result, error in refused
    ]
    return Answer(200, {"success": True, "rejected": rejected})


def problem(document: dict[str, Any]) -> dict[str, Any]:
    """The problem document with the members that SDKs look for.

    Python's raise an exception without `code` and `message`, and then send again; Ruby's shows
    `error`.
    """
    status = _OWN_STATUSES.get(document["status"], document["status"])
    return {
        **document,
        "status": status,
        "message": document["detail"],
        "error": document["title"],
    }


def _refused(results: Sequence[Result]) -> Iterator[tuple[int, Result, Refused]]:
    for index, result in enumerate(results):
        if result.refused is not None:
            yield index, result, result.refused


def _violations(error: Refused) -> Sequence[Violation]:
    if isinstance(error, InvalidEvent):
        return error.violations[:MAX_ERRORS]
    return (Violation("", error.detail),)
