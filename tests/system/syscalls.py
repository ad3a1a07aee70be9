"""`python syscalls.py @SET PROGRAM …`: the program with no other system calls than systemd's set.

It does what SystemCallFilter= in a unit does, with the library that systemd does it with; whatever
is left out fails with EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys

_ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW and SCMP_ACT_ERRNO of seccomp.h
_EPERM = 0x00050000 | errno.EPERM
_PR_SET_NO_NEW_PRIVS = 38  # of linux/prctl.h; whoever is not root may filter nothing without it


def names(group: str) -> set[str]:
    """The system calls in one of systemd's sets, and in those that it contains."""
    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    )
    found = set()
    for line in listing.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= names(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allow_only(allowed: set[str]) -> None:
    """From now on, for this process and what comes of it."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_EPERM)))
    numbers = [library.seccomp_syscall_resolve_name(name.encode()) for name in sorted(allowed)]
    for number in numbers:
        if number < 0:  # another architecture's
            continue
        rule = (ctypes.c_uint32(_ALLOW), ctypes.c_int(number), ctypes.c_uint(0))
        assert library.seccomp_rule_add(context, *rule) == 0
    assert ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    allow_only(names(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
