"""Who a new process is and what it may: another user, and nothing that is the superuser's.

For a child between fork and exec. The numbers are those of <linux/capability.h>.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import socket
import stat
import struct
from pathlib import Path

from jobqueue.worker.host.hardening import LIBC

CAPABILITY_VERSION = 0x20080522
USERS_LOOKED_AT = 1000
OUTPUTS = (1, 2)


def become(user: int) -> None:
    """Be this user, alone in the group of the same number, and no other ever again. Raises OSError."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def give_pipes(user: int) -> None:
    """Let a user own the pipes that this process writes its outputs to: only their owner can open them by name."""
    for descriptor in OUTPUTS:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.fchown(descriptor, user, user)


def drop_capabilities() -> None:
    """Have no capability any more. With no_new_privs, root's next program does not get them back. Raises OSError."""
    header, none = struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)
    if LIBC.capset(header, none) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reserve_user(first: int) -> tuple[int, socket.socket]:
    """Return the first user from that number on who is nobody on this host, and what keeps them reserved.

    The name of a socket is what is reserved: the kernel forgets it when its holder dies. A user that still has
    processes is passed over, too: they are of a job whose worker died a moment ago. Raises LookupError.
    """
    busy = {entry.pw_uid for entry in pwd.getpwall()} | _users_of_processes()
    for user in range(first, first + USERS_LOOKED_AT):
        if user not in busy and (reservation := _take(user)):
            return user, reservation
    raise LookupError


def _take(user: int) -> socket.socket | None:
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0jobqueue-uid-{user}")
    except OSError:
        reservation.close()
        return None
    return reservation


def _users_of_processes() -> set[int]:
    users: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            users |= set(map(int, status.read_text().partition("\nUid:")[2].split()[:4]))
        except OSError:
            continue  # it has ended meanwhile
    return users
