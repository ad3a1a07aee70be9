"""Which destinations an event goes to: the project's, less what `events` and `integrations` say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segmentstream_api.config import Settings
from segmentstream_api.delivery.lane import Lane
from segmentstream_api.event.event import Event
from segmentstream_api.event.integrations import select
from segmentstream_api.metrics import declared as metrics


class Routing:
    """`lanes` are by destination name."""

    def __init__(self, settings: Settings, lanes: Mapping[str, Lane]) -> None:
        self._admits = {each.name: each.events.admits for each in settings.destinations}
        self._lanes = {
            project.name: [lanes[name] for name in project.destinations]
            for project in settings.projects
        }

    def lanes(self, event: Event) -> Sequence[Lane]:
        """In the project's order. Names in `integrations` that nobody answers to are counted."""
        lanes = [lane for lane in self._lanes[event.project] if self._admits[lane.name](event.name)]
        integrations = event.document.get("integrations")
        if not integrations:
            return lanes
        project = self._lanes[event.project]
        selection = select(integrations, [lane.names for lane in project])
        metrics.unknown_integrations(len(selection.unknown))
        return [lane for lane in lanes if lane.name in selection.destinations]
