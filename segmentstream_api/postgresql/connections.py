"""Aborting connections that hang, and psycopg's own log, for the store and the destination."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from typing import Any

import psycopg


def abort_connection(connection: psycopg.Connection[Any]) -> None:
    """Callable from any thread: one that waits for the connection gets an OperationalError.

    libpq itself waits forever for a server that does not answer.
    """
    with (
        suppress(psycopg.Error, OSError),  # it ended in this very moment
        socket.socket(fileno=os.dup(connection.fileno())) as end,
    ):
        end.shutdown(socket.SHUT_RDWR)


def silence_library_logs() -> None:
    """psycopg also logs errors that it raises; we log them once, where they are handled."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)
