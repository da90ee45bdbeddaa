"""Landlock: what the kernel lets a process do with files, said as an allow-list that the process cannot leave again.

Own code instead of the package landlockpy: three system calls are needed, in a child between fork and exec where little
may happen, and that package (0.2.0) brings 850 lines for what are a hundred here. The numbers are those of
<linux/landlock.h>; what a kernel does not know yet is not asked of it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from jobqueue.worker.host.hardening import LIBC

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_OF_RULESETS = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIRECTORY = 1 << 3
REMOVE_FILE = 1 << 5
MAKE_DEVICES = 1 << 6 | 1 << 11
MAKE_FILE = 1 << 8
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEVICE = 1 << 15
RIGHTS_BY_VERSION = {1: REFER - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEVICE}
"""What each version added to what can be denied."""

ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
"""The rights that a rule about a file, not a directory, may give."""

SCOPES_VERSION = 6
SCOPE_ABSTRACT_SOCKETS = 1 << 0
SCOPE_SIGNALS = 1 << 1

SEE = READ_FILE | READ_DIRECTORY
RUN = SEE | EXECUTE
OWN = (IOCTL_DEVICE << 1) - 1 & ~MAKE_DEVICES & ~IOCTL_DEVICE
USE_DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEVICE
SHARE = READ_FILE | WRITE_FILE | TRUNCATE | MAKE_FILE | REMOVE_FILE
"""For shared memory and semaphores: what others keep there is not listed, so that its name has to be known."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def version() -> int:
    """Return which version of Landlock the kernel has, 0 when it has none that may be used."""
    return max(0, int(LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_OF_RULESETS))))


def create_ruleset(rules: Iterable[tuple[str, int]]) -> int:
    """Return the descriptor of a new ruleset: these paths with these rights, and all below them. What of them does not
    exist, or cannot be reached, is left out. Raises OSError.
    """
    known = version()
    rights = sum(added for since, added in RIGHTS_BY_VERSION.items() if since <= known)
    scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if known >= SCOPES_VERSION else 0
    attributes = struct.pack("=QQQ", rights, 0, scopes)  # 0: the network stays open
    ruleset = _checked(LIBC.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)))
    try:
        for path, allowed in rules:
            _add(ruleset, path, allowed & rights)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def restrict_self(ruleset: int) -> None:
    """Confine this process, and all that it starts, for ever. Raises OSError."""
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(LIBC.syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)))


def _add(ruleset: int, path: str, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= ON_FILES
        beneath = struct.pack("=Qi", allowed, descriptor)
        _checked(LIBC.syscall(ADD_RULE, ctypes.c_int(ruleset), PATH_BENEATH, beneath, ctypes.c_uint32(0)))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
