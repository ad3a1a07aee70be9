"""The TOML file → its document, with every ${NAME} replaced from the environment."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segmentstream_api.config.places import dotted, tables
from segmentstream_api.errors import ConfigError, Problem

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_toml(
    path: Path, environ: Mapping[str, str], *, with_destinations: bool
) -> tuple[Any, list[Problem]]:
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        hint = (
            "; `segmentstream-api init` makes one" if isinstance(error, FileNotFoundError) else ""
        )
        raise ConfigError(
            str(path), [Problem("the file", f"cannot be read: {error.strerror}{hint}")]
        ) from error
    except UnicodeDecodeError as error:
        detail = f"is not UTF-8, at byte {error.start}"
        raise ConfigError(str(path), [Problem("the file", detail)]) from None  # it holds the file
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise ConfigError(str(path), [Problem("the file", f"is not TOML: {error}")]) from None
    if not with_destinations:
        document.pop("destinations", None)
        for _, project in tables(document, "projects"):
            project.pop("destinations", None)
    unset: list[Problem] = []
    return substituted(document, environ, (), unset), unset


def substituted(
    value: Any, environ: Mapping[str, str], place: tuple[str, ...], problems: list[Problem]
) -> Any:
    """`value` with each ${NAME} replaced; notes what has no value, such as one that is not set."""
    if isinstance(value, dict):
        return {
            key: substituted(item, environ, (*place, key), problems) for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            substituted(item, environ, (*place, str(index)), problems)
            for index, item in enumerate(value)
        ]
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(dotted(place), "must be a finite number"))
    if not isinstance(value, str):
        return value
    if "${" in _VARIABLE.sub("", value):
        sentence = "after '${' must come the name of an environment variable and '}'"
        problems.append(Problem(dotted(place), sentence))
    problems.extend(
        Problem(dotted(place), f"${{{name}}} is not set in the environment")
        for name in _VARIABLE.findall(value)
        if name not in environ
    )
    return _VARIABLE.sub(lambda match: environ.get(match[1], match[0]), value)
