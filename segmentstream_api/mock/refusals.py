"""WSGI middleware that notes what an application refuses. It stands around the real one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from segmentstream_api.contract.strict_json import parse
from segmentstream_api.errors import Refused
from segmentstream_api.http.body import MAX_BODY_BYTES, Readable

_FIRST_REFUSAL = 400
_OF_A_BATCH = 200  # Segment's SDKs take a batch back only after this, so it may have refusals in it


class Refusals:
    """What was answered 4xx or 5xx, and what was refused within a batch that was answered 200.

    `noted` has it before its client gets the answer.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self.noted: list[dict[str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"] = _Copied(environ["wsgi.input"])
        status = 0

        def note_status(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal status
            status = int(line.split(maxsplit=1)[0])
            return start_response(line, headers, *more)

        answer = self._application(environ, note_status)
        if status >= _FIRST_REFUSAL:
            answer = list(answer)  # a problem document in one piece, with nothing to close
            self.noted.append(_refusal(environ, status, b"".join(answer), body))
        elif status == _OF_A_BATCH and environ["REQUEST_METHOD"] == "POST":
            answer = list(answer)
            self.noted += _refused_messages(environ, b"".join(answer), body)
        return answer


class _Copied:
    """A request's body that keeps what was read of it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.content = bytearray()

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(size)
        self.content += chunk
        return chunk


def _refusal(environ: WSGIEnvironment, status: int, answer: bytes, body: _Copied) -> dict[str, Any]:
    problem: dict[str, Any] = {}
    with suppress(ValueError):
        problem = json.loads(answer)
    noted = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "status": status,
        "code": problem.get("code"),
        "detail": problem.get("detail"),
        "violations": problem.get("errors", []),
    }
    with suppress(Refused, OSError, ValueError):  # then there is no document to tell of
        noted["document"] = parse(_whole(environ, body))
    return noted


def _refused_messages(
    environ: WSGIEnvironment, answer: bytes, body: _Copied
) -> Iterator[dict[str, Any]]:
    batch: list[Any] = []
    with suppress(Refused, OSError, ValueError, LookupError, TypeError):
        batch = parse(_whole(environ, body))["batch"]
    rejected: list[Any] = []
    with suppress(ValueError):
        rejected = json.loads(answer).get("rejected", [])
    for each in rejected:
        noted = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "status": _OF_A_BATCH,
            "code": "invalid_event",
            "detail": f"Message {each['index']} of the batch was refused; see violations.",
            "violations": each["errors"],
        }
        if each["index"] < len(batch):
            noted["document"] = batch[each["index"]]
        yield noted


def _whole(environ: WSGIEnvironment, body: _Copied) -> bytes:
    """With what the application left unread, as it does where the token is wrong."""
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    if announced <= MAX_BODY_BYTES:
        while len(body.content) < announced and body.read(announced - len(body.content)):
            pass
    return bytes(body.content)
