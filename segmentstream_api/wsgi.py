"""The WSGI application, for gunicorn: `segmentstream_api.wsgi:application`."""

from segmentstream_api.server.hooks import build_application

application = build_application()
