"""What the kernel does for this process: who may read it, and what happens when its parent dies. Linux only; elsewhere
these functions do nothing.

The numbers are those of <linux/prctl.h>.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4


def close_memory() -> None:
    """Deny other processes of the same user access to this process's memory, and to its environment in /proc."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent dies. Exits at once if that has happened already.

    The setting survives exec, but not a change of user.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
