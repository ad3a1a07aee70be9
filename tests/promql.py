"""The metrics and labels that a PromQL expression names, as far as our own expressions need."""

from __future__ import annotations

import re

_STRING = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"(?<![\w$.])([a-zA-Z_]\w*)(?:\s*\{([^}]*)\}|(?!\s*\(|\w))")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_WORDS = {"by", "without", "on", "ignoring", "and", "or", "unless", "bool", "offset"}


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Each metric, with the labels that it is chosen by."""
    text = _GROUPED.sub("", _STRING.sub('""', expression))
    text = re.sub(r"\[[^\]]*\]", "", text)  # durations
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]", labels or "")))
        for name, labels in _SELECTOR.findall(text)
        if name not in _WORDS
    ]


def grouped_by(expression: str) -> set[str]:
    return {
        label.strip()
        for labels in _GROUPED.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }
