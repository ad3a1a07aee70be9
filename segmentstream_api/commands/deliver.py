"""`segmentstream-api deliver`: the redelivery as a process of its own, beside the service."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.registry import Collector

from segmentstream_api.commands.arguments import (
    Subparsers,
    add_command,
    add_config_option,
    read_settings,
)
from segmentstream_api.delivery.supervisor import DeliverySupervisor
from segmentstream_api.errors import CommandError, SegmentStreamError
from segmentstream_api.logs.entries import (
    CONFIGURATION_REFUSED,
    DELIVER_STARTED,
    DELIVER_STOPPING,
    SERVICE_REFUSED,
)
from segmentstream_api.logs.stderr import log_to_stderr
from segmentstream_api.monitoring.exposition import Exposition
from segmentstream_api.monitoring.readiness import Readiness
from segmentstream_api.store.base import Store
from segmentstream_api.store.factory import create_store

_EXIT_UNUSABLE = 2
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def add_parser(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "deliver",
        summary="Send what waits for the destinations, without taking events.",
        description="The service does this itself. Run it beside the service to work off a long"
        " backlog faster, or without the service to deliver what is left; any number of them work"
        " together.\n\nIt stops on Ctrl-C or SIGTERM, once what it is sending is done. SIGHUP"
        " makes it read its configuration again.",
        example="segmentstream-api deliver",
        run=run,
    )
    add_config_option(parser)
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="tell what it counts at http://127.0.0.1:PORT/metrics",
    )


def run(args: argparse.Namespace) -> int:
    log_to_stderr(os.environ.get("SEGMENTSTREAM_LOG_LEVEL") or "info", os.environ)
    page = _Page()
    # Threads inherit the mask, so that no signal interrupts them: the main thread takes them all.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        page.serve(args.metrics_port)
        deliveries = _start(args, page)
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            deliveries = _restarted(args, page, deliveries)
    except SegmentStreamError as error:
        SERVICE_REFUSED(reason=error)
        return _EXIT_UNUSABLE
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # a second Ctrl-C ends it at once
    DELIVER_STOPPING()
    deliveries.stop()
    return 0


class _Page(Collector):
    """The metrics of this process, and of the store that it delivers from now."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

    def show(self, store: Store, destinations: Sequence[str]) -> None:
        readiness = Readiness(store)
        self._registry = Exposition(store, destinations, readiness, folder=None).registry

    def serve(self, port: int | None) -> None:
        """Raises CommandError if the port cannot be had."""
        if port is None:
            return
        registry = CollectorRegistry()
        registry.register(self)
        try:
            start_http_server(port, "127.0.0.1", registry)
        except OSError as error:
            raise CommandError(f"--metrics-port {port} cannot be had: {error.strerror}") from error
        except OverflowError as error:
            raise CommandError(f"--metrics-port {port}: ports go from 0 to 65535") from error

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


def _start(args: argparse.Namespace, page: _Page) -> DeliverySupervisor:
    """Raises ConfigError, StoreUnusable or StoreUnavailable, and then nothing runs."""
    settings = read_settings(args)
    store = create_store(settings)
    store.open()
    deliveries = DeliverySupervisor(settings, store)
    deliveries.start()
    page.show(store, list(deliveries.lanes))
    DELIVER_STARTED(source=settings.source, destinations=list(deliveries.lanes))
    return deliveries


def _restarted(
    args: argparse.Namespace, page: _Page, before: DeliverySupervisor
) -> DeliverySupervisor:
    """The new one starts first: leases keep the two apart, and a fault leaves the old one."""
    try:
        deliveries = _start(args, page)
    except SegmentStreamError as error:
        CONFIGURATION_REFUSED(reason=error)
        return before
    before.stop()
    return deliveries
