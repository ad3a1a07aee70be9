"""What the store holds, per destination, for `status` and for start-up."""

from __future__ import annotations

from segmentstream_api.store.queries.reader import Reader
from segmentstream_api.store.records import DestinationState, DestinationStats


def read_stats(reader: Reader) -> dict[str, DestinationStats]:
    waiting = {
        name: (count, oldest_ms / 1000)
        for name, count, oldest_ms in reader.execute(
            "SELECT destination, waiting, received_ms FROM (SELECT destination,"
            " COUNT(*) AS waiting, MIN(event_id) AS oldest FROM outbox GROUP BY destination)"
            " AS share JOIN event ON event.id = share.oldest"
        )
    }
    dead = dict(
        reader.execute("SELECT destination, COUNT(*) FROM dead_letter GROUP BY destination")
    )
    states = {
        name: DestinationState(breaker, _seconds(since_ms), error, _seconds(error_ms))
        for name, breaker, since_ms, error, error_ms in reader.execute(
            "SELECT destination, breaker, since_ms, last_error, last_error_ms"
            " FROM destination_state"
        )
    }
    return {
        name: DestinationStats(
            *waiting.get(name, (0, None)), dead.get(name, 0), states.get(name, DestinationState())
        )
        for name in sorted({*waiting, *dead, *states})
    }


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
