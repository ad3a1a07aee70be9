"""Several deliveries in one request: which of them fit in, and whose outcome is whose.

Used by the adapters whose vendor takes more than one event at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segmentstream_api.destinations.base import Delivery, Outcome, Rejected, Retry

NO_ROOM = Retry("the request was full: the event goes alone next time")


def in_one_request(
    deliveries: Sequence[Delivery],
    prepare: Callable[[Delivery], bytes | Rejected],
    send: Callable[[Sequence[bytes]], Sequence[Outcome]],
    *,
    most_bytes: int,
) -> list[Outcome]:
    """One outcome for each delivery, in their order.

    `prepare` makes the bytes of one event, or says why the vendor would refuse it. `send` posts
    those that fit into `most_bytes` and gives one outcome for each; the first one always fits.
    It is not called with nothing.
    """
    outcomes: list[Outcome] = [NO_ROOM] * len(deliveries)
    places: list[int] = []
    events: list[bytes] = []
    room = most_bytes
    for place, delivery in enumerate(deliveries):
        prepared = prepare(delivery)
        if isinstance(prepared, Rejected):
            outcomes[place] = prepared
        elif not events or len(prepared) <= room:
            places.append(place)
            events.append(prepared)
            room -= len(prepared) + 1  # what parts it from the next one
    for place, outcome in zip(places, send(events) if events else (), strict=True):
        outcomes[place] = outcome
    return outcomes


def shared(outcome: Outcome, count: int) -> list[Outcome]:
    """What one answer to a request means for each of its `count` events.

    The refusal of several may be one event's fault. They are retried, and what is retried goes
    alone: then the guilty one is refused and the others are taken.
    """
    if count > 1 and isinstance(outcome, Rejected):
        outcome = Retry(f"{outcome.reason} to {count} events at once: each goes alone next time")
    return [outcome] * count
