"""The token that `init` writes beside the configuration for trying the service out."""

from __future__ import annotations

from pathlib import Path

TOKEN_FILE = "segmentstream.token"  # noqa: S105 - a file name


def find_token(folder: Path) -> str | None:
    """The token that `init` wrote beside the configuration for trying it out, if it is there."""
    try:
        return (folder / TOKEN_FILE).read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
