"""A progress bar for work that may take long."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from tqdm import tqdm

_DELAY_SECONDS = 0.5


class _Bar(tqdm):  # type: ignore[type-arg]  # it takes none at run time
    """Keeps its delay, and leaves nothing behind, also where `tqdm.write` makes room for a line."""

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        if time.time() < self.start_t + _DELAY_SECONDS:
            return False
        return super().display(msg, pos)

    def close(self) -> None:
        if not self.disable:
            self.clear()
        super().close()


def progress(total: int | None, unit: str, *, scale: bool = False) -> tqdm[NoReturn]:
    """On standard error, if that is a terminal and the work takes more than half a second.

    `total` is None if it is not known; `scale` writes 1.2M for 1234567.
    """
    return _Bar(
        total=total,
        unit=unit,
        unit_scale=scale,
        delay=_DELAY_SECONDS,
        leave=False,
        disable=None,  # unless standard error is a terminal
        dynamic_ncols=True,
    )
