"""The WSGI application, for gunicorn: `segmentstream_api.wsgi:application`."""

from segmentstream_api.serving import build_application

application = build_application()
