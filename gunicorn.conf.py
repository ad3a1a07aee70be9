"""How gunicorn runs the service: every setting with its unit and its reason.

`segmentstream-api serve` starts gunicorn with this file. The environment variables named here
change a setting; GUNICORN_CMD_ARGS and the arguments of `serve` go over everything. What the
service does with events stands in segmentstream.toml instead.
"""

import os

from segmentstream_api.metrics import folder as metrics_folder

metrics_folder.make()  # first of all: whoever imports prometheus_client looks for it once

from segmentstream_api.server import hooks, logger  # noqa: E402 - as above


def whole_number(name: str, default: int, least: int = 1) -> int:
    """The environment variable `name`, or `default` if it is unset or empty."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise SystemExit(f"{name} is {text!r}; allowed is a whole number from {least} up.")
    return int(text)


def usable_cores() -> int:
    """The cores this process may use: a container or taskset may have taken some away."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


wsgi_app = "segmentstream_api.wsgi:application"

# Address and port, `unix:/path`, or several of them with commas. Only this machine by default:
# TLS, slow clients and the world are the business of the proxy in front (deploy/nginx.conf).
# Sockets that systemd hands over (deploy/segmentstream-api.socket) go over it.
bind = os.environ.get("SEGMENTSTREAM_BIND") or "127.0.0.1:8000"

# Connections that the kernel holds while all workers are busy (it caps this at somaxconn).
# gunicorn's default: enough for the second or two that a reload may take. systemd's sockets have
# their own, `Backlog`.
backlog = whole_number("SEGMENTSTREAM_BACKLOG", 2048)

# Processes. One per core uses the machine; two at least, so that one still answers while the
# other starts anew.
workers = whole_number("WEB_CONCURRENCY", max(2, usable_cores()))

# gunicorn's `gthread` with the contract's answer to what is not HTTP. Threads, because requests
# wait for the disk and for destinations, and because those that wait at the same time share one
# commit and travel to a destination together.
worker_class = "segmentstream_api.server.worker.Worker"

# Requests at work in each worker. More make larger commits but hold more memory and wait longer
# for one another; 16 gave the most requests a second on two cores.
threads = whole_number("SEGMENTSTREAM_THREADS", 16)

# Connections per worker, those between two requests included; they cost no thread.
worker_connections = whole_number("SEGMENTSTREAM_WORKER_CONNECTIONS", 1000)

# The HTTP parser. `auto` takes the one in C where the extra `fast` is installed, else the slower
# one in Python; `python` always takes the latter.
http_parser = os.environ.get("SEGMENTSTREAM_HTTP_PARSER") or "auto"

# Seconds that a worker's main loop may stand still before the worker is killed. Request threads
# do not count: a slow destination is bounded by delivery.push_budget_seconds, not by this.
timeout = whole_number("SEGMENTSTREAM_TIMEOUT_SECONDS", 30)

# Seconds that requests at work get at a stop or reload. Far more than the push budget, so that
# every event taken is answered. A supervisor's own stop timeout must be longer, and so must the
# proxy's patience, since requests wait in the socket meanwhile: 45 and 60 s in deploy/.
graceful_timeout = whole_number("SEGMENTSTREAM_GRACEFUL_TIMEOUT_SECONDS", 30)

# Seconds that an idle connection is kept. Longer than the 60 s after which deploy/nginx.conf and
# the usual load balancers drop theirs: whoever closes first must be the proxy, or it sends a POST
# into a connection just closed, may not repeat it, and answers 502. At a stop gunicorn waits 2 s
# at most.
keepalive = whole_number("SEGMENTSTREAM_KEEPALIVE_SECONDS", 75, least=0)

# Bytes of the request line, number of headers, bytes of one header: gunicorn's defaults, stated
# because the proxy in front should not allow more (large_client_header_buffers in nginx).
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

# Peers, with commas, that may say `X-Forwarded-Proto`: a proxy on this machine. Never `*`. Whoever
# comes by a unix socket may always: who may open it is a matter of its permissions.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS") or "127.0.0.1,::1"

# The one header that tells the scheme. gunicorn's default adds X-Forwarded-Protocol and
# X-Forwarded-Ssl, and refuses an event when they contradict one another.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

# What is taken from the permissions of a unix socket that gunicorn makes itself: everybody but its
# user and group. gunicorn's own default takes nothing.
umask = 0o007

# A header with an underscore is dropped, so it cannot pass for the one with a hyphen.
header_map = "drop"

# The access log's file, `-` for standard output. Off by default: the proxy has one, and the
# metrics count every answer.
accesslog = os.environ.get("SEGMENTSTREAM_ACCESS_LOG") or None

# Every line is as schemas/log.json says; SEGMENTSTREAM_LOG_FORMAT, `auto` unless it says `json` or
# `text`, writes text where standard error is a terminal. gunicorn's own access_log_format has no
# effect: it could show tokens.
logger_class = logger.Logger
errorlog = "-"  # standard error: whoever started the service keeps it
loglevel = os.environ.get("SEGMENTSTREAM_LOG_LEVEL") or "info"

# Workers touch a file to show that they live. On a disk that hangs they would be killed for it;
# /dev/shm is memory.
if os.access("/dev/shm", os.W_OK):  # noqa: S108 - gunicorn makes the file with mkstemp
    worker_tmp_dir = "/dev/shm"  # noqa: S108 - as above

# Every worker builds its own application: database connections and locks must not cross a fork.
preload_app = False

# No control socket: all servers of a user would share one path, and signals do the same.
control_socket_disable = True

on_starting = hooks.on_starting
on_reload = hooks.on_reload
when_ready = hooks.when_ready
post_worker_init = hooks.post_worker_init
worker_exit = hooks.worker_exit
child_exit = hooks.child_exit
