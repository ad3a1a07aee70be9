"""The real nginx with deploy/nginx.conf: that very file, but for the lines that `_replaced` names.

The rest of its configuration is what Debian ships, so the defaults are those of its package.
"""

from __future__ import annotations

import functools
import getpass
import http.client
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.system.service import CHECKOUT, TOKEN, authorization, free_port, kill

SITE = CHECKOUT / "deploy" / "nginx.conf"
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
OPENSSL = shutil.which("openssl")
CHUNK_BYTES = 1000
needs_nginx = pytest.mark.skipif(
    not (PROGRAM and OPENSSL), reason="needs nginx and openssl (the package nginx)"
)

# /etc/nginx/nginx.conf of Debian 12, with paths of our own.
_MAIN = """\
{user}
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{
    worker_connections 768;
}}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {folder}/main-access.log;
    gzip on;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


class Nginx:
    """In front of whatever listens at `upstream`, the path of a unix socket.

    `changed` replaces more of the file; `site` is a copy of it that was put elsewhere.
    """

    def __init__(
        self, folder: Path, changed: Mapping[str, str] | None = None, *, site: Path = SITE
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        # A socket's path may have 107 bytes; folders of tests are longer.
        self._sockets = tempfile.TemporaryDirectory(prefix="nginx-")
        self.upstream = Path(self._sockets.name) / "service.sock"
        self.access_log, self.error_log = folder / "access.log", folder / "error.log"
        self._changed = changed or {}
        self._site = site
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self.write()
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*self._command(), "-g", "daemon off;"],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, (self.folder / "output").read_text()
            try:
                self.request("GET", "/nowhere")
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "output").read_text()
                time.sleep(0.05)
            else:
                return

    def reload(self) -> None:
        """SIGHUP; returns when new processes are at work. The old ones finish theirs meanwhile."""
        old = self.worker_pids()
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while not self.worker_pids() - old:
            assert time.monotonic() < deadline, "nginx did not reload"
            time.sleep(0.02)

    def worker_pids(self) -> set[int]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def stop(self) -> None:
        """At once, with everything that it has open."""
        if self.process is not None:
            kill(self.process)
        self._sockets.cleanup()

    @functools.cached_property
    def tls(self) -> ssl.SSLContext:
        """Trusts its certificate and no other."""
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with lower-case names, and body of one request of its own connection."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=self.tls
        )
        try:
            content = pieces(body) if chunked and body is not None else body
            connection.request(method, path, content, dict(headers or {}), encode_chunked=chunked)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def track(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        token: str = TOKEN,
        chunked: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """`POST /track`."""
        fields = {
            "Content-Type": "application/json",
            "Authorization": authorization(token),
            **(headers or {}),
        }
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
        return self.request("POST", "/track", body, fields, chunked=chunked)

    def _command(self) -> list[str]:
        assert PROGRAM is not None
        return [PROGRAM, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    def write(self) -> None:
        """Everything that it reads."""
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        main = _MAIN.format(user=user, folder=self.folder)
        (self.folder / "nginx.conf").write_text(main, "utf-8")
        make_certificate(self.folder / "certificate.pem", self.folder / "certificate.key")
        site = self._site.read_text("utf-8")
        for line, replacement in {**self._replaced(), **self._changed}.items():
            assert site.count(line) == 1, (
                f"{line!r} stands {site.count(line)} times in {self._site}"
            )
            site = site.replace(line, replacement)
        (self.folder / "site.conf").write_text(site, "utf-8")

    def _replaced(self) -> dict[str, str]:
        """Address, socket, certificate, logs: nothing that decides about a request."""
        return {
            "server unix:/run/segmentstream-api.sock;": f"server unix:{self.upstream};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
            "listen [::]:443 ssl http2;": "",  # not every machine has IPv6
            "/etc/ssl/certs/segmentstream-api.pem": str(self.folder / "certificate.pem"),
            "/etc/ssl/private/segmentstream-api.key": str(self.folder / "certificate.key"),
            "/var/log/nginx/segmentstream-api.access.log": str(self.access_log),
            "/var/log/nginx/segmentstream-api.error.log": str(self.error_log),
        }


def pieces(body: bytes) -> Iterator[bytes]:
    return (body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES))


def make_certificate(certificate: Path, key: Path) -> None:
    """For 127.0.0.1, signed by itself."""
    assert OPENSSL is not None
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
