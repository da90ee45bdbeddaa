"""What the kernel is asked for, so that no job gets at its worker and none outlives it. All by prctl(2), whose numbers
are those of <linux/prctl.h> and <linux/capability.h>.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
LAST_CAPABILITY = 63
OF_CONTAINERS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""Docker's default set: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP. Not among them: SYS_PTRACE, SYS_ADMIN and PERFMON, which read other processes.
"""

LIBC = ctypes.CDLL(None, use_errno=True)

OOM_SCORE = "/proc/self/oom_score_adj"
OOM_SCORE_ADJUSTMENT = 500
"""When memory runs out the kernel kills the job, not the worker."""

NICENESS = 5
"""When everybody wants the processor, the worker's heartbeats come first."""


def adopt_orphans() -> None:
    """Become the parent of whatever descendants leave behind, so that it can be found."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def close_memory() -> None:
    """Close this process's memory and its entries in /proc to every other process of the same user."""
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def renounce() -> None:
    """Let nothing that is started from here on gain rights: no set-user-ID program, and root has but what containers
    give it.

    Without the second, a job of root's could read what `close_memory` closes.
    """
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in OF_CONTAINERS:
            LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for those that this kernel does not know


def limit(open_files: int) -> None:
    """Limit what is started from here on to so many open files and to no core dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = open_files if hard == resource.RLIM_INFINITY else min(open_files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@functools.cache
def oom_score_of_jobs() -> bytes:
    """Return what jobs get for an `oom_score_adj`: no less than this process has. Ask before there is a child."""
    own = 0
    with suppress(OSError):
        own = int(Path(OOM_SCORE).read_text())
    return b"%d" % max(OOM_SCORE_ADJUSTMENT, own)


def yield_to_the_worker(oom_score: bytes) -> None:
    """In a new child: be the first to go when memory runs out, the last when the processor does.

    Everything a child touches is copied first: so it does little, and nothing that takes much memory.
    """
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self is root's
    with suppress(OSError):  # some platforms fix it, higher than that for all
        score_fd = os.open(OOM_SCORE, os.O_WRONLY | os.O_CLOEXEC)
        os.write(score_fd, oom_score)
        os.close(score_fd)
    os.nice(NICENESS)


def die_with(parent: int) -> None:
    """In a new child: be killed when the parent dies. Call it after any change of user, which would forget it."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def is_root() -> bool:
    """Whether this process may do all that root may."""
    return os.geteuid() == 0


def wake_with_parent() -> None:
    """Be continued when the parent dies: a process that a job has stopped hears of it then, and can end the job."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
