"""Keeps psycopg from saying in the log what the error that it raises says too."""

from __future__ import annotations

import logging


def quieten() -> None:
    """It warns of what follows an error: whoever gets the error tells it once."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)
