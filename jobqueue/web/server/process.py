"""What the operating system grants a process: descriptors, closed memory, and a signal when its parent dies."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

MAX_DESCRIPTORS = 65_536
"""Enough for all connections. Some systems have no hard limit, and refuse a soft limit without bound."""

RESERVED_DESCRIPTORS = 48
"""Descriptors for all that is not a connection: Redis, metrics, a name server, a log that is opened again."""

# The numbers are those of <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some sandboxes refuse every change
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def connections_within(descriptors: int, wanted: int) -> int:
    """Return how many connections a process may have: `wanted`, or fewer when its limit of descriptors is lower."""
    with suppress(OSError):  # no /dev/fd
        descriptors -= len(os.listdir("/dev/fd"))
    return max(1, min(wanted, descriptors - RESERVED_DESCRIPTORS))


def close_memory() -> None:
    """Deny other processes of this user, such as jobs, access to this process's memory and environment, and to those of
    its children: they hold the password of Redis. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def signal_at_death_of(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies, whatever it dies of. Does nothing off Linux.

    The kernel forgets this when the process changes its user, so that has to come first.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        os.kill(os.getpid(), number)
