"""The folder in which the processes of one service count together.

prometheus_client has each process count in files of its own, in the folder that the environment
names when it is first imported. So `gunicorn.conf.py` makes the folder before it imports anything
else, and this module must not import prometheus_client.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own name for it
_PREFIX = "segmentstream-metrics-"
_IN_USE = "in-use"  # locked by the main process and its workers, so by nobody once all are dead
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder there for this user alone

_made: Path | None = None


def make(parent: Path | None = None) -> Path:
    """A new folder, which goes when this process exits; the same one if called again.

    In memory if possible: counting must not wait for a disk, and a process that counts on a full
    one dies of SIGBUS. What a process that was killed left behind goes with the next start.
    """
    global _made  # noqa: PLW0603 - gunicorn reads its settings again at a reload
    if _made is None:
        usable = os.access(_MEMORY, os.W_OK)
        parent = parent or (_MEMORY if usable else Path(tempfile.gettempdir()))
        _remove_abandoned(parent)
        _made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        _lock(_made)
        os.environ[_VARIABLE] = str(_made)
        atexit.register(_remove, _made, os.getpid())
    return _made


def current() -> Path | None:
    """The folder, or None if this process counts for itself."""
    return _made


def _lock(folder: Path) -> None:
    """Until this process and all that inherit its files have ended, and never half-made."""
    draft = folder / f"{_IN_USE}.new"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft.rename(folder / _IN_USE)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(folder / _IN_USE, os.O_RDWR)
        except OSError:  # another user's, or being made just now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # in use
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # workers exit too
        shutil.rmtree(folder, ignore_errors=True)
