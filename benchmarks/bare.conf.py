"""The service's own gunicorn settings, for an application that is not the service."""

from pathlib import Path

_shipped = Path(__file__).parent.parent / "gunicorn.conf.py"
exec(compile(_shipped.read_text("utf-8"), _shipped, "exec"))  # noqa: S102 - gunicorn does the same

wsgi_app = "benchmarks.bare:application"
del on_starting, on_reload, when_ready, post_worker_init, worker_exit, child_exit  # noqa: F821
