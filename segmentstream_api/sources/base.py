"""What a source is: it turns another wire's requests into documents of the service's own.

A source is pure. `http/source.py` reads the request, finds the project, checks each document and
stores them all in one transaction; it asks the source only what the wire decides.
"""

from __future__ import annotations

import binascii
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from segmentstream_api.config import Project
from segmentstream_api.errors import Refused, Violation


@dataclass(frozen=True, slots=True)
class BodyRules:
    """What the body of a request may be. `max_bytes` counts what it inflates to."""

    max_bytes: int = 65_536
    json_only: bool = False
    """Whether Content-Type must be application/json; otherwise it is ignored."""

    compressed: bool = False
    """Whether `Content-Encoding: gzip` is accepted."""

    too_large_status: int = 400


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A request without its body. Names of `headers` are in lower case."""

    path: str
    """The template of its route, such as `/collect/{key}`."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """Those of the path."""

    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"
    peer: str | None = None
    """The address of the client."""

    received_at: float = 0.0
    """Unix time in seconds."""

    @property
    def origin(self) -> str | None:
        """The web page's origin; None for what is not sent by a browser's script."""
        return self.headers.get("origin")


@dataclass(frozen=True, slots=True)
class Key:
    """What names the project: an API token or browser token, or the id of a browser project."""

    text: str = field(repr=False)
    kind: Literal["token", "project_id"] = "token"


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a request. With `violations` of the source's own there is no `document`."""

    document: Any
    violations: tuple[Violation, ...] = ()
    id: str | None = None
    """The client's name for it, for the answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a message: it is stored, now or by an earlier request, or it is refused."""

    message: Message
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` becomes a JSON object; None is an empty body."""

    status: int = 204
    body: Mapping[str, Any] | None = None


class Source(ABC):
    """One wire. Made once per process, used by every thread."""

    name: ClassVar[str]
    """Its name in the registry."""

    label: ClassVar[str]
    """What metrics call its paths, such as `/v1`."""

    paths: ClassVar[Sequence[str]]
    """The route templates that take events by POST."""

    body: ClassVar[BodyRules] = BodyRules()

    key_in_body: ClassVar[bool] = False
    """Whether the body is read to find a key; otherwise a request without one stops before it."""

    public: ClassVar[bool] = False
    """Whether browsers may call it from other origins: CORS, browser tokens, rate limits."""

    challenges: ClassVar[bool] = True
    """Whether a 401 carries WWW-Authenticate, at which a browser may ask its user to log in."""

    discarded: ClassVar[Sequence[str]] = ()
    """Route templates whose POSTs are answered as if taken and thrown away: SDKs' telemetry."""

    documents: ClassVar[Mapping[str, Callable[[SourceRequest], Answer]]] = MappingProxyType({})
    """Route templates that answer GET, for clients that fetch their settings. The project is not
    passed on: what a settings document says is public."""

    def key(self, request: SourceRequest) -> Key | None:
        """The key that the request carries outside its body. The default is Basic's user name."""
        name = basic_user_name(request.headers.get("authorization"))
        return None if name is None else Key(name)

    def key_in(self, request: SourceRequest, document: Any) -> Key | None:
        """The key in the body, which is any JSON: for a source with `key_in_body`."""
        return None

    def is_server_only(self, request: SourceRequest) -> bool:
        """Whether a browser token does not open this path."""
        return not self.public

    @abstractmethod
    def read(self, document: Any, request: SourceRequest, project: Project) -> Sequence[Message]:
        """The events in the request's body, which is any JSON.

        Raises Refused where nothing in it can be used, and never anything else.
        """

    def overlooks(self, event_name: str, violation: Violation) -> bool:
        """Whether a violation of an event type is one that this source's clients cannot avoid."""
        return False

    def answer(self, results: Sequence[Result], request: SourceRequest) -> Answer:
        """What the client gets once all that could be stored is. Raises Refused."""
        for result in results:
            if result.refused is not None:
                raise result.refused
        return Answer()

    def problem(self, document: dict[str, Any]) -> dict[str, Any]:
        """The problem document as this source's clients need it; `status` may change, too."""
        return document


def basic_user_name(authorization: str | None) -> str | None:
    """The user name of Basic credentials, None if there are none that can be read.

    Source: RFC 7617 §2 (scheme in any case, the user-id ends at the first colon). Bytes that are
    not UTF-8 become surrogates, which no token has.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = b64decode(credentials.strip(" "), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, _password = decoded.partition(b":")
    return name.decode("utf-8", "surrogateescape") if colon else None
