"""Falcon middleware: which methods a path has."""

from __future__ import annotations
