"""A progress bar for work that may take long."""

from __future__ import annotations

from typing import NoReturn

from tqdm import tqdm


def progress(total: int | None, unit: str, *, scale: bool = False) -> tqdm[NoReturn]:
    """On standard error, if that is a terminal and the work takes more than half a second.

    `total` is None if it is not known; `scale` writes 1.2M for 1234567.
    """
    return tqdm(
        total=total,
        unit=unit,
        unit_scale=scale,
        delay=0.5,
        leave=False,
        disable=None,  # unless standard error is a terminal
        dynamic_ncols=True,
    )
