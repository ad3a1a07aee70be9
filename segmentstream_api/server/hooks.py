"""The service under gunicorn: its hooks, called by `gunicorn.conf.py`.

The main process reads the configuration, at the start and at each SIGHUP, and its workers inherit
what it read: a configuration that became wrong is reported and changes nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from prometheus_client.multiprocess import mark_process_dead

from segmentstream_api.app import Application, create_app
from segmentstream_api.config import DEFAULT_PATH, Settings, load_settings
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.errors import SegmentStreamError, StoreUnavailable
from segmentstream_api.logs.entries import (
    CONFIGURATION_REFUSED,
    CONFIGURATION_RELOADED,
    DESTINATION_NOT_CONFIGURED,
    PROCESS_DEFECT,
    SERVICE_REFUSED,
    STORE_UNAVAILABLE,
    STORE_UNREADABLE,
)
from segmentstream_api.logs.stderr import for_people
from segmentstream_api.metrics import folder as metrics_folder
from segmentstream_api.metrics.files import MetricsFiles
from segmentstream_api.server.greeting import hello
from segmentstream_api.store.factory import create_store

EXIT_UNUSABLE = 2

_inherited: Settings | None = None


def read_settings() -> Settings:
    """The settings in the file that SEGMENTSTREAM_CONFIG names. Raises ConfigError."""
    path = Path(os.environ.get("SEGMENTSTREAM_CONFIG") or DEFAULT_PATH)
    return load_settings(path, environ=os.environ, registry=load_registry())


def build_application() -> Application:
    """The application for the settings that the main process read last.

    gunicorn would print the text of whatever is raised, beside the log and whatever it quotes.
    """
    try:
        return create_app(_inherited or read_settings())
    except SegmentStreamError as error:
        SERVICE_REFUSED(reason=error)
    except Exception as error:  # noqa: BLE001 - as above
        PROCESS_DEFECT(error, place="making the application")
    raise SystemExit(Arbiter.WORKER_BOOT_ERROR)  # the main process then ends too


def on_starting(server: Any) -> None:
    """Before anything is bound or forked: whatever cannot work ends here, with exit code 2."""
    global _inherited  # noqa: PLW0603 - workers inherit memory, there is nothing else to pass
    try:
        _inherited = read_settings()
        _check_store(_inherited)
    except SegmentStreamError as error:
        _refuse(str(error))
    if not (os.environ.get("LISTEN_FDS") or os.environ.get("GUNICORN_FD")):  # else it is inherited
        for address in server.cfg.address:
            _check_port(address)


def on_reload(server: Any) -> None:
    """SIGHUP: new workers get what the file says now, if that can be used.

    The settings before stay in force until everything that uses the new ones here has succeeded.
    """
    global _inherited  # noqa: PLW0603 - as above
    try:
        settings = read_settings()
        _take_over(settings)
        if server.cfg.preload_app:  # then the workers inherit the application as well
            server.app.callable = create_app(settings)
    except SegmentStreamError as error:
        CONFIGURATION_REFUSED(reason=error)
    except Exception as error:  # noqa: BLE001 - gunicorn's main process, and so the service, would end
        CONFIGURATION_REFUSED(error, reason=f"It cannot be used: {type(error).__name__}")
    else:
        _inherited = settings
        CONFIGURATION_RELOADED(source=settings.source)


def when_ready(server: Any) -> None:
    """`segmentstream-api serve` greets with a line to paste, whose token is for people alone."""
    if os.environ.get("SEGMENTSTREAM_HELLO") and _inherited is not None:
        show_token = for_people(sys.stdout, os.environ)
        print(hello(_inherited, server.cfg.address[0], show_token=show_token), flush=True)


def post_worker_init(worker: Any) -> None:
    """In the worker, after the fork: opens the store and starts the background threads."""
    worker.wsgi.deliveries.start()


def worker_exit(server: Any, worker: Any) -> None:
    """In the worker, after its last request."""
    application = getattr(worker, "wsgi", None)
    if application is not None:
        application.deliveries.stop()


def child_exit(server: Any, worker: Any) -> None:
    """In the main process, after a worker has ended, however it did."""
    folder = metrics_folder.current()
    if folder is not None:
        mark_process_dead(worker.pid, str(folder))
        MetricsFiles(folder).merge_ended(alive={os.getpid(), *server.WORKERS})


def _check_store(settings: Settings) -> None:
    store = create_store(settings)
    try:
        store.check()
    except StoreUnavailable as error:  # may pass while we serve; until then events get 503
        STORE_UNAVAILABLE(reason=error)
    finally:
        store.close()
    _take_over(settings)


def _take_over(settings: Settings) -> None:
    """What waits for a destination that is not configured any more is kept, and said."""
    store = create_store(settings)
    try:
        for name, stats in store.stats().items():
            if stats.waiting and name not in {each.name for each in settings.destinations}:
                DESTINATION_NOT_CONFIGURED(count=stats.waiting, destination=name)
    except SegmentStreamError as error:
        STORE_UNREADABLE(reason=error)
    finally:
        store.close()


def _check_port(address: Any) -> None:
    """gunicorn would try a taken port five times and then give up without a word of advice."""
    if not isinstance(address, tuple):
        return
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            host, port = address[:2]
            if error.errno == errno.EADDRINUSE:
                _refuse(
                    f"Port {port} on {host} is taken by another program. "
                    f"Choose another one, for example: --bind {host}:{port + 1000}"
                )
            _refuse(f"Cannot listen on {host}:{port}: {error.strerror}")


def _refuse(message: str) -> None:
    SERVICE_REFUSED(reason=message)
    raise SystemExit(EXIT_UNUSABLE)
