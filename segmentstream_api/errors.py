"""Every exception of ours, with its fields. `problems.py` turns the refusals into HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class SegmentStreamError(Exception):
    """The root of the tree: everything this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where it stands and what would be right."""

    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


class ConfigError(SegmentStreamError):
    """The configuration cannot be served; `problems` holds all of them at once."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        super().__init__("\n".join([f"{source} is not usable:", *(f"  {p}" for p in problems)]))
        self.source = source
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a document breaks its schema. `pointer` is a JSON Pointer (RFC 6901)."""

    pointer: str
    detail: str


class Refused(SegmentStreamError):
    """A request that is answered 4xx. `code` is stable and for machines, `detail` for people."""

    status = 400
    code = "bad_request"
    title = "The request cannot be accepted"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unauthorized(Refused):
    """No usable API token. One and the same for every cause, so nobody learns which."""

    status = 401
    code = "unauthorized"
    title = "A valid API token is required"

    def __init__(self) -> None:
        super().__init__(
            "Send the header 'Authorization: Basic <base64 of your API token and a colon>'."
        )


class ForbiddenOrigin(Refused):
    """A web page that the project does not list."""

    status = 403
    code = "origin"
    title = "This web page's origin may not send"

    def __init__(self) -> None:
        super().__init__("The project does not list the origin that the header Origin names.")


class UnknownProject(Refused):
    """A hit of a web page that names no project, or one that is not open to browsers."""

    status = 403
    code = "unknown_project"
    title = "The project is not known"

    def __init__(self) -> None:
        super().__init__(
            "The body's projectId, or the last part of the path, must be the project_id of a "
            "project that is open to browsers."
        )


class TooManyRequests(Refused):
    status = 429
    code = "too_many_requests"
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class WrongContentType(Refused):
    code = "content_type"
    title = "The Content-Type is not application/json"


class WrongContentEncoding(Refused):
    code = "content_encoding"
    title = "The body must not be compressed"


class WrongLength(Refused):
    code = "content_length"
    title = "The body is not as long as announced"


class TooLarge(Refused):
    """`status` is 400, unless the source's clients know 413."""

    code = "too_large"
    title = "The body is too large"

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


class InvalidJson(Refused):
    code = "invalid_json"
    title = "The body is not valid JSON"


class InvalidEvent(Refused):
    """The document breaks its schema; `violations` names every place.

    `places` are their pointers as far as the schema knows them: what is beyond is the client's.
    """

    code = "invalid_event"
    title = "The event does not match the schema"

    def __init__(
        self,
        violations: list[Violation],
        of: str = "schemas/track.json",
        places: Iterable[str] = (),
    ) -> None:
        count = len(violations)
        super().__init__(f"{count} violation{'s' if count > 1 else ''} of {of}; see errors.")
        self.violations = tuple(violations)
        self.places = tuple(sorted(set(places)))


class UnusableSchemas(SegmentStreamError):
    """Event types that cannot be served; `reasons` by file."""

    def __init__(self, reasons: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{file}: {reason}" for file, reason in reasons))
        self.reasons = tuple(reasons)


class StoreUnavailable(SegmentStreamError):
    """The store cannot take the event now and kept nothing of it; worth trying again.

    `finding` is what GET /ready calls it.
    """

    def __init__(
        self, reason: str, retry_after_seconds: int = 5, finding: str = "store_unavailable"
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.finding = finding


class StoreUnusable(SegmentStreamError):
    """The store must not be opened at all: damaged, replaced, or not one of ours."""

    finding = "store_unusable"

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class CommandError(SegmentStreamError):
    """A command cannot do what it was asked; the message tells whoever asked what would help."""


class DestinationUnusable(SegmentStreamError):
    """A destination cannot work until its operator has mended something; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownDestinationType(SegmentStreamError):
    """No destination of this type is registered; the message lists the known ones."""

    def __init__(self, type_name: str, known: list[str]) -> None:
        super().__init__(f"unknown destination type {type_name!r}; known: {', '.join(known)}")
        self.type_name = type_name
        self.known = tuple(known)


class DuplicateDestinationType(SegmentStreamError):
    """Two packages want the same destination type; neither is preferred."""

    def __init__(self, type_name: str, first: str, second: str) -> None:
        super().__init__(f"destination type {type_name!r} is claimed by {first} and by {second}")
        self.type_name = type_name
