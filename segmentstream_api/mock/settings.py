"""The settings of a mock: a project of its own, or the projects of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from segmentstream_api.config import Settings, load_settings
from segmentstream_api.http.auth import token_digest

_CONFIGURATION = '[projects.default]\ntokens = ["{digest}"]\n'


def mock_settings(
    config: Path | None, *, token: str, folder: Path, environ: Mapping[str, str]
) -> Settings:
    """Settings without a destination, whose store is in `folder`. Raises ConfigError.

    `token` is the first project's unless the configuration has it already; those that stand
    there are valid too. What stands there of destinations is not looked at: their secrets and
    their packages may be missing where tests run.
    """
    digest = token_digest(token)
    if config is None:
        config = folder / "segmentstream.toml"
        config.write_text(_CONFIGURATION.format(digest=digest), "utf-8")
    settings = load_settings(config, environ=environ, registry={}, with_destinations=False)
    first, *others = settings.projects
    if not any(digest in project.tokens for project in settings.projects):
        first = replace(first, tokens=(*first.tokens, digest))
    return replace(
        settings,
        projects=(first, *others),
        store=replace(settings.store, path=folder / "segmentstream.db", dsn=None),
    )
