"""The mock's WSGI application: the real one, and beside it `/_mock/…` to look into it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import falcon

from segmentstream_api.app import create_app
from segmentstream_api.config import Settings
from segmentstream_api.mock.memory import RememberingStore
from segmentstream_api.mock.refusals import Refusals

_CONTROL = "/_mock/"


class Mock:
    """Made before the fork, started after it, as the service itself is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._resetting = threading.Lock()
        self._run: _Run
        self._control = falcon.App[Any, Any]()
        self._control.add_route(f"{_CONTROL}accepted", _Shown(lambda: self._run.store.accepted))
        self._control.add_route(f"{_CONTROL}rejected", _Shown(lambda: self._run.refusals.noted))
        self._control.add_route(f"{_CONTROL}reset", _Reset(self.reset))

    def start(self) -> None:
        self._run = _Run(self._settings)

    def stop(self) -> None:
        self._run.stop()

    def reset(self) -> None:
        """A service that has seen nothing: without events, refusals and known hit ids.

        What is on its way when this is called still belongs to the one before.
        """
        with self._resetting:
            before, self._run = self._run, _Run(self._settings)
            before.stop()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(_CONTROL):
            return self._control(environ, start_response)
        return self._run.refusals(environ, start_response)


class _Run:
    """The service between two resets, with a store in a folder of its own."""

    def __init__(self, settings: Settings) -> None:
        file = settings.store.path
        self._folder = Path(mkdtemp(dir=file.parent))
        own = replace(settings, store=replace(settings.store, path=self._folder / file.name))
        self.store = RememberingStore(
            own.store.path, dedup_window_seconds=own.store.dedup_window_seconds
        )
        self._application = create_app(own, self.store)
        self.refusals = Refusals(self._application)
        self._application.deliveries.start()

    def stop(self) -> None:
        self._application.deliveries.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Shown:
    def __init__(self, rows: Callable[[], Sequence[Any]]) -> None:
        self._rows = rows

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = list(self._rows())


class _Reset:
    def __init__(self, reset: Callable[[], None]) -> None:
        self._reset = reset

    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self._reset()
        resp.status = falcon.HTTP_204
