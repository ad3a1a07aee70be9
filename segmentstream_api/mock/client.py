"""What a test sees of a running mock. Starts it, asks it, stops it; used by `plugin`."""

from __future__ import annotations

import http.client
import json
import math
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segmentstream_api.mock.comparison import differences, report

_START_SECONDS = 60.0  # far above the half second that it takes, for machines under load
_STOP_SECONDS = 15.0  # above the server's own patience with requests on their way
_ANSWER_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 0.05


class TrackingApi:
    """A tracking API that keeps what it was sent. Point a tracker at `url`, with `token`."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        """Such as `http://127.0.0.1:34567`; events go to `/track` there."""
        self.token = token

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The events that were answered 204, in order, as a destination would get them."""
        return self._get("/_mock/accepted")

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Each refused request in order: `status`, `code`, `detail`, `violations`, `document`.

        `violations` are `{"pointer": …, "detail": …}`. There is no `document` unless it was JSON.
        """
        return self._get("/_mock/rejected")

    def reset(self) -> None:
        """Forgets everything that it was sent, with every `hitId`."""
        self._ask("POST", "/_mock/reset")

    def assert_accepted(
        self,
        name: str | None = None,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        *,
        timeout_seconds: float = 5.0,
        **properties: Any,
    ) -> dict[str, Any]:
        """The first accepted event that has all this; `properties` are members of `event`.

        Of an object, only the members named here are compared. Waits up to `timeout_seconds` for
        it; then raises AssertionError with what was sent instead. Returns the whole envelope.
        """
        __tracebackhide__ = True  # pytest then shows the test's line and what is reported
        ids = {"userId": user_id, "anonymousId": anonymous_id}
        user = {key: value for key, value in ids.items() if value is not None}
        expected = {**({} if name is None else {"name": name}), **properties}
        if user:
            expected["user"] = {**expected.get("user", {}), **user}
        # Looks are counted and no clock is asked: a test may have stopped it.
        for look in range(max(1, math.ceil(timeout_seconds / _LOOK_EVERY_SECONDS))):
            if look:
                time.sleep(_LOOK_EVERY_SECONDS)
            accepted = self.accepted
            for envelope in accepted:
                if not differences(expected, envelope["event"]):
                    return envelope
        raise AssertionError(report(expected, accepted, self.rejected, timeout_seconds))

    def _get(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self._ask("GET", path))
        return rows

    def _ask(self, method: str, path: str) -> bytes:
        address = self.url.removeprefix("http://")  # always so, and past every proxy
        connection = http.client.HTTPConnection(address, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running(*options: str) -> Iterator[TrackingApi]:
    """A mock in a process of its own, on a free port; `options` are those of the command.

    A process, so that it shares no clock, no patched module and no thread with the tests. It ends
    with this one, however this one ends. Raises RuntimeError with what it said if it cannot start.
    """
    command = [sys.executable, "-P", "-m", "segmentstream_api", "mock"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # noqa: S603 - our own command, and -P for our own modules
            [*command, "--port", "0", "--json", "--until-eof", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in a debugger is for the test alone
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        patience = threading.Timer(_START_SECONDS, process.kill)
        patience.start()
        line = process.stdout.readline()
        patience.cancel()
        try:
            if not line:
                log.seek(0)
                said = log.read().decode(errors="replace")
                raise RuntimeError(f"the mock of the tracking API did not start:\n{said}")
            yield TrackingApi(**json.loads(line))
        finally:
            process.send_signal(signal.SIGINT)  # at once: SIGTERM waits 2 s for kept connections
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
