"""Level `landlock`: the kernel allows a program only the files on a list, for good.

The three system calls are made by ctypes. One runs in a child between fork and exec, where little may happen, and the
packages on PyPI (landlockpy 0.2.0 has 850 lines) are young. The numbers are those of <linux/landlock.h>.
"""

from __future__ import annotations

import ctypes
import math
import os
import socket
import stat
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jobqueue.worker.host.hardening import LIBC, PR_SET_NO_NEW_PRIVS, Call, checked, without_capabilities
from jobqueue.worker.isolation import system_paths
from jobqueue.worker.isolation.base import HOST_NETWORK, NO_NETWORK, ImpossibleIsolation, Isolation, Paths

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_OF_RULESETS = 1
PATH_BENEATH = 1

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
CONNECT_PATH_SOCKET = 1 << 16
RIGHTS_BY_VERSION = {1: REFER - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEVICE, 9: CONNECT_PATH_SOCKET}
"""The rights that each version of Landlock added to those that can be denied."""

TCP, UDP = 1 << 0 | 1 << 1, 1 << 2 | 1 << 3
NETWORK_RIGHTS_BY_VERSION = {4: TCP, 10: UDP}
"""The same for the network: to bind a port, and to connect or send to one."""

ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE | CONNECT_PATH_SOCKET
"""The rights that a rule may give on a file that is not a directory."""

PATH_SOCKETS_VERSION = 9
SCOPES_VERSION = 6
SCOPE_ABSTRACT_SOCKETS = 1 << 0
SCOPE_SIGNALS = 1 << 1

SEE = READ_FILE | READ_DIRECTORY
RUN = SEE | EXECUTE
LOOK_UP = RUN | CONNECT_PATH_SOCKET
OWN = (IOCTL_DEVICE << 1) - 1 & ~MAKE_DEVICES & ~IOCTL_DEVICE
USE_DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEVICE
SHARE = READ_FILE | WRITE_FILE | TRUNCATE | MAKE_FILE | REMOVE_FILE
"""For shared memory and semaphores. The directory cannot be listed: a program must know the names of its files."""

FOUND_SECONDS = 10.0
"""How long the directories of the system are remembered."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


class LandlockIsolation(Isolation):
    """The kernel denies the files that a program does not need, and the program has no capabilities."""

    level = "landlock"

    def __init__(self, hidden: Sequence[str] = (), network: str = HOST_NETWORK) -> None:
        """Both are as in the base class."""
        super().__init__(hidden, network)
        self._found: Sequence[tuple[str, int]] = ()
        self._found_at = -math.inf

    @property
    def families_without_network(self) -> Sequence[int]:
        """Unix sockets, where Landlock keeps programs from those of others."""
        return (socket.AF_UNIX,) if version() >= PATH_SOCKETS_VERSION else ()

    def closed(self) -> Mapping[str, bool]:
        """Return what is closed."""
        closed = super().closed()
        abstract = closed["abstract sockets"] or has_scopes()
        path = closed["path sockets"] or version() >= PATH_SOCKETS_VERSION
        return {**closed, "signals": has_scopes(), "abstract sockets": abstract, "path sockets": path}

    def reserve(self) -> None:
        """Check that the kernel supports Landlock. Raises ImpossibleIsolation."""
        super().reserve()
        if not version():
            raise ImpossibleIsolation(
                "ISOLATION is 'landlock', but this kernel has no Landlock that can be used: that takes Linux 5.13 or "
                "later, with Landlock enabled and not blocked by a container; choose none."
            )

    def prepare(self, paths: Paths) -> None:
        """Create the ruleset."""
        rules = [*self._system()]
        rules += [(path, SEE) for path in ("/proc", "/sys")]
        rules += [(path, USE_DEVICE) for path in DEVICES]
        rules += [("/dev/shm", SHARE)]  # noqa: S108  # shared memory has no other place
        rules += [(paths.program, RUN), (paths.directory, OWN)]
        # The ruleset is built here and not in the child: walking directories allocates memory and takes time, which
        # should not happen between fork and exec. The child inherits the descriptor.
        self.descriptor = create_ruleset(rules, self.network)

    def _system(self) -> Sequence[tuple[str, int]]:
        """Return the rules about the directories of the system, without the hidden ones, as they were a few seconds
        ago.
        """
        # To find them takes a hundred system calls, more than all the rest of a start. A directory that is new is not
        # allowed until then, and one that is gone is left out.
        now = time.monotonic()
        if now - self._found_at > FOUND_SECONDS:
            roots = system_paths.roots(self._hidden, name_services=self.network != NO_NETWORK)
            self._found = [
                (path, LOOK_UP if root in system_paths.NAME_SERVICES else RUN)
                for root in roots
                for path in system_paths.around(os.path.realpath(root), self._hidden)
            ]
            self._found_at = now
        return self._found

    def calls(self, outputs: Sequence[int]) -> Sequence[Call]:  # noqa: ARG002  # as in the base class
        """Return the calls that apply the ruleset to a process and everything it starts, for ever, and drop the
        capabilities that could circumvent it.
        """
        assert self.descriptor is not None, "prepare comes first"  # noqa: S101
        # Landlock requires no_new_privs. It is set again here although the supervisor has set it already, so that this
        # module does not depend on that.
        return [
            Call(LIBC.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            Call(LIBC.syscall, RESTRICT_SELF, self.descriptor, 0),
            without_capabilities(),
        ]


def version() -> int:
    """Return the version of Landlock that the kernel supports; 0 when it has none or does not allow it."""
    return max(0, int(LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_OF_RULESETS))))


def has_scopes() -> bool:
    """Whether the kernel can keep a process from the abstract sockets and the processes of others."""
    return version() >= SCOPES_VERSION


class Denied(NamedTuple):
    """What a ruleset denies: rights on files and on the network, and scopes."""

    files: int
    network: int
    scopes: int


def deniable(known: int, network: str = HOST_NETWORK) -> Denied:
    """Return what a ruleset can deny by that version of Landlock, and should deny with that NETWORK."""
    # A kernel refuses a ruleset with rights or scopes that it does not know, so we ask only for those of its version.
    # Every right named here is denied unless a rule allows it; a right that is not named stays allowed everywhere.
    files, ports = (
        sum(added for since, added in table.items() if since <= known)
        for table in (RIGHTS_BY_VERSION, NETWORK_RIGHTS_BY_VERSION)
    )
    scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if known >= SCOPES_VERSION else 0
    return Denied(files, ports if network == NO_NETWORK else 0, scopes)


def scope_abstract_sockets() -> None:
    """Keep this process, and all that it starts from here on, from the abstract sockets of others, where the kernel
    can. The process needs no_new_privs or CAP_SYS_ADMIN. Raises OSError.
    """
    if not has_scopes():
        return
    ruleset = _create(Denied(0, 0, SCOPE_ABSTRACT_SOCKETS))
    try:
        checked(LIBC.syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def create_ruleset(rules: Iterable[tuple[str, int]], network: str = HOST_NETWORK) -> int:
    """Return the descriptor of a new ruleset that gives each path, and everything below it, its rights. Paths that do
    not exist or cannot be reached are left out. Raises OSError.
    """
    denied = deniable(version(), network)
    ruleset = _create(denied)
    try:
        for path, allowed in rules:
            _add(ruleset, path, allowed & denied.files)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def _create(denied: Denied) -> int:
    attributes = struct.pack("=QQQ", *denied)
    return checked(LIBC.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)))


def _add(ruleset: int, path: str, allowed: int) -> None:
    """Add a rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        # A distribution does not have all of these paths. Leaving a rule out only denies more.
        return
    try:
        # The kernel refuses a rule that gives a file the rights of directories. What the path is, is asked of the
        # open descriptor and not of the path, which might lead elsewhere by then.
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= ON_FILES
        beneath = struct.pack("=Qi", allowed, descriptor)
        checked(LIBC.syscall(ADD_RULE, ctypes.c_int(ruleset), PATH_BENEATH, beneath, ctypes.c_uint32(0)))
    finally:
        os.close(descriptor)
