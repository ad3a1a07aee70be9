"""A headless Chromium, driven over the DevTools protocol as its own developer tools are.

The protocol: https://chromedevtools.github.io/devtools-protocol/ (one JSON message after another,
each ended by NUL, over the file descriptors 3 and 4).
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from itertools import count
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
_PATIENCE_SECONDS = 90.0  # of a slow machine that is busy with other tests
_POLL_SECONDS = 0.05


class Browser:
    def __init__(self, folder: Path, *options: str) -> None:
        self._connection, theirs = socket.socketpair()
        self._connection.settimeout(_PATIENCE_SECONDS)
        end = theirs.fileno()
        self._process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{end} 4>&{end}', "bash"),
                str(CHROMIUM),
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",  # it needs what containers seldom allow; the pages are our own
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={folder}",
                *options,
            ],
            pass_fds=[end],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._numbers = count(1)
        self._received = b""
        self.told: list[dict[str, Any]] = []
        """What it said of its own accord, such as which request it makes."""

    def command(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """The result. Raises AssertionError with the reason if there is none."""
        message = {"id": next(self._numbers), "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._connection.sendall(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.told.append(answer)

    def close(self) -> None:
        self._connection.close()  # then it ends by itself
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            received = self._connection.recv(1 << 20)
            assert received, "chromium has ended"
            self._received += received
        message, _, self._received = self._received.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


class Page:
    """A tab of its own that has gone to `url`."""

    def __init__(
        self, browser: Browser, url: str, *, width: int = 1440, scheme: str = "light"
    ) -> None:
        self._browser = browser
        target = browser.command("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._command(f"{domain}.enable")
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1000,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        preference = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", features=[preference])
        self._command("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of the expression; of a promise, what it comes to."""
        answer = self._command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of the expression as soon as it is a true one."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"{script}\n{self.complaints()}"
            time.sleep(_POLL_SECONDS)
        return value

    def click(self, selector: str, text: str = "") -> None:
        """Clicks the element, once it is there; of several, the one with that text."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find(each => each.textContent.includes({json.dumps(text)}))"
        )
        self.wait_for(f"!!{found}")
        self.run(f"{found}.click()")

    def type(self, selector: str, text: str) -> None:
        self.wait_for(f"!!document.querySelector({json.dumps(selector)})")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self._command("Input.insertText", text=text)

    def complaints(self) -> list[dict[str, Any]]:
        """What its console shows."""
        return self._told("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    def addresses(self) -> list[str]:
        """Whatever it asked for."""
        return [
            each["request"]["url"]
            for each in self._told("Network.requestWillBeSent")
            if not each["request"]["url"].startswith("data:")
        ]

    def _told(self, *methods: str) -> list[dict[str, Any]]:
        return [
            each["params"]
            for each in self._browser.told
            if each.get("sessionId") == self._session and each["method"] in methods
        ]

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.command(method, self._session, **parameters)
