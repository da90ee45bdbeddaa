"""Kernel settings that keep a job from reading its worker's memory and from outliving it.

The numbers are those of <linux/prctl.h> and <linux/capability.h>.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import signal
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION = 0x20080522
LAST_CAPABILITY = 63
OF_CONTAINERS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""Docker's default set: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP. Not among them: SYS_PTRACE, SYS_ADMIN and PERFMON, which allow a process to
read others.
"""

LIBC = ctypes.CDLL(None, use_errno=True)

Argument = int | ctypes.c_void_p | ctypes.Array[Any] | None


class Call:
    """A call of a C function that returns a negative number when it fails, as in `Call(LIBC.close, 3)`.

    It can be made here, or by a child in which no Python code can run (`supervisor/vfork.py`).
    """

    def __init__(self, function: Any, *arguments: Argument) -> None:
        self.function = function
        self.arguments = arguments

    def make(self) -> None:
        """Make the call. Raises OSError."""
        checked(self.function(*self.arguments))


OOM_SCORE = "/proc/self/oom_score_adj"
OOM_SCORE_ADJUSTMENT = 500
"""Makes the kernel kill the job, not the worker, when memory runs out."""

NICENESS = 5
"""Lets the worker's heartbeats come first when all processors are busy."""


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, so that it can find and kill them."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def close_memory() -> None:
    """Deny other processes of the same user access to this process's memory and to most of its entries in /proc."""
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def renounce() -> None:
    """Keep everything started from here on from gaining rights: set-user-ID programs gain nothing, and root keeps only
    the capabilities that Docker grants by default.
    """
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A process with SYS_PTRACE or PERFMON can read what `close_memory` closes. So a root worker's jobs must not have
    # them. Dropping a capability that this kernel does not know fails, which is as good.
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in OF_CONTAINERS:
            LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def drop_capabilities() -> None:
    """Drop all capabilities of this process. With no_new_privs the next program of root does not get them back.

    Raises OSError.
    """
    without_capabilities().make()


def without_capabilities() -> Call:
    """Return the call that drops all capabilities."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION, 0))
    return Call(LIBC.capset, header, ctypes.create_string_buffer(24))


def limit(open_files: int) -> None:
    """Limit the open files of everything started from here on, as far as the hard limit allows; forbid core dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = open_files if hard == resource.RLIM_INFINITY else min(open_files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@functools.cache
def oom_score_of_jobs() -> bytes:
    """Return the `oom_score_adj` of jobs, at least that of this process. Call it before the first fork."""
    own = 0
    with suppress(OSError):
        own = int(Path(OOM_SCORE).read_text())
    return b"%d" % max(OOM_SCORE_ADJUSTMENT, own)


class OomScore:
    """The `oom_score_adj` of this process, which a child of vfork inherits. Make it before `close_memory`: afterwards
    an ordinary user cannot open the file any more.
    """

    def __init__(self) -> None:
        self.of_jobs = oom_score_of_jobs()
        self._fd = -1
        with suppress(OSError):  # some platforms forbid to change the score, and give every process a higher one
            self._fd = os.open(OOM_SCORE, os.O_RDWR | os.O_CLOEXEC)
            self._own = os.read(self._fd, 16)

    def take_that_of_jobs(self) -> None:
        """Take the score of jobs for a moment."""
        self._write(self.of_jobs)

    def take_own(self) -> None:
        """Take this process's own score again. That takes no privilege, as it is not lower than it was before."""
        self._write(self._own)

    def _write(self, score: bytes) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                os.write(self._fd, score)


def yield_to_the_worker(oom_score: bytes) -> None:
    """In a new child: become the first process to be killed when memory runs out, and the last to get a processor."""
    # Every page that a new child writes is copied first. So this does little and allocates little: no pathlib, no
    # buffered file.
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # the supervisor is not dumpable; its child's /proc/self would be root's
    with suppress(OSError):  # some platforms forbid to change the score, and give every process a higher one
        score_fd = os.open(OOM_SCORE, os.O_WRONLY | os.O_CLOEXEC)
        os.write(score_fd, oom_score)
        os.close(score_fd)
    os.nice(NICENESS)


def die_with(parent: int) -> None:
    """In a new child: have the kernel kill this process when its parent dies."""
    # A change of user clears this setting, so it has to come after that. The parent may have died before the setting
    # was made, and then no signal ever comes: that is why the parent is compared afterwards.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def wake_with_parent() -> None:
    """Have the kernel resume this process when its parent dies. A job may have suspended it, and it must notice the
    death to kill the job.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def is_root() -> bool:
    """Whether this process runs as root."""
    return os.geteuid() == 0


def checked(result: int) -> int:
    """Return the result of a C function. Raises OSError, as errno says, when it is negative."""
    if result < 0:
        raise OSError(number := ctypes.get_errno(), os.strerror(number))
    return result
