"""One `send` of a destination to a peer that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from jsonschema import Draft202012Validator

from segmentstream_api.destinations.base import Delivery, Destination, Outcome
from segmentstream_api.testing import Peer, Received, answer, complete

OK = answer("200 OK", b"{}")

D = TypeVar("D", bound=Destination)


def build(destination_class: type[D], **settings: Any) -> D:
    """A destination with valid settings, the defaults filled in."""
    settings = complete(destination_class.settings_schema, settings)
    Draft202012Validator(destination_class.settings_schema).validate(settings)
    return destination_class("under-test", settings)


def exchange(
    destination_class: type[Destination],
    deliveries: Sequence[Delivery],
    replies: Callable[[Received], Iterable[bytes]] | bytes | None = OK,
    **settings: Any,
) -> tuple[list[Outcome], list[Received]]:
    """The outcomes, and the requests that the peer got."""
    with Peer(replies) as peer:
        destination = build(destination_class, base_url=peer.url, **settings)
        try:
            outcomes = destination.send(deliveries)
        finally:
            destination.close()
    return outcomes, peer.received
