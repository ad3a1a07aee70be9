"""The whole architecture on one screen: who is made of what, and who talks to whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import falcon

from segmentstream_api.config import Settings
from segmentstream_api.contract.event_types.rules import EventTypes
from segmentstream_api.contract.schemas import Contract, schema_folder
from segmentstream_api.delivery.supervisor import DeliverySupervisor
from segmentstream_api.http.auth import Authenticator
from segmentstream_api.http.cors import CrossOrigin
from segmentstream_api.http.middleware import AllowedMethods
from segmentstream_api.http.operations import Health, Metrics, Ready, Version
from segmentstream_api.http.peer import Peers
from segmentstream_api.http.problems import add_handlers
from segmentstream_api.http.rate_limit import RateLimits
from segmentstream_api.http.reference import reference_files
from segmentstream_api.http.request_id import RequestIds
from segmentstream_api.http.source import Gate, source_routes
from segmentstream_api.intake.intake import Intake
from segmentstream_api.intake.reception import Reception
from segmentstream_api.intake.routing import Routing
from segmentstream_api.metrics import declared as metrics
from segmentstream_api.metrics import folder as metrics_folder
from segmentstream_api.monitoring.exposition import Exposition
from segmentstream_api.monitoring.readiness import Readiness
from segmentstream_api.sources.base import Source
from segmentstream_api.sources.registry import load_sources
from segmentstream_api.store.base import Store
from segmentstream_api.store.factory import create_store


class Application(falcon.App[Any, Any]):
    """The WSGI application, with what runs behind it."""

    def __init__(self, deliveries: DeliverySupervisor) -> None:
        super().__init__(middleware=[RequestIds(), AllowedMethods()])
        self.deliveries = deliveries
        add_handlers(self)


def create_app(
    settings: Settings,
    store: Store | None = None,
    sources: Iterable[type[Source]] | None = None,
) -> Application:
    """The service for these settings. Opens nothing and starts no thread.

    `store` is the configured one unless given, `sources` are all that are installed. Raises
    ConfigError for an installed source that cannot be used.
    """
    store = store or create_store(settings)
    deliveries = DeliverySupervisor(settings, store)
    intake = Intake(
        store,
        Routing(settings, deliveries.lanes),
        push_budget_seconds=settings.delivery.push_budget_seconds,
        wake=deliveries.wake,
    )
    event_types = {
        project.name: EventTypes(project.event_types, metrics.violation)
        for project in settings.projects
    }
    reception = Reception(Contract.load("track.json"), event_types, intake)
    gate = Gate(
        Authenticator(settings.projects),
        CrossOrigin(settings.projects),
        RateLimits(settings.projects),
        Peers(settings.trusted_proxies),
    )
    readiness = Readiness(store)
    exposition = Exposition(
        store, list(deliveries.lanes), readiness, folder=metrics_folder.current()
    )

    application = Application(deliveries)
    for source in load_sources().values() if sources is None else sources:
        metrics.source(source.label, [*source.paths, *source.discarded, *source.documents])
        for path, resource in source_routes(source(), gate, reception):
            application.add_route(path, resource)
    application.add_route("/metrics", Metrics(exposition))
    application.add_route("/health", Health())
    application.add_route("/ready", Ready(readiness))
    application.add_route("/version", Version(store.kind))
    if settings.reference:
        for path, file in reference_files(schema_folder()):
            application.add_route(path, file)
    return application
