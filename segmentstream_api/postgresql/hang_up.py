"""Ends a connection that hangs: libpq itself waits for ever for a server that says nothing."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

import psycopg


def hang_up(connection: psycopg.Connection[Any]) -> None:
    """Whoever waits for the connection gets an OperationalError at once. For any thread."""
    with (
        suppress(psycopg.Error, OSError),  # it ended in this very moment
        socket.socket(fileno=os.dup(connection.fileno())) as end,
    ):
        end.shutdown(socket.SHUT_RDWR)
