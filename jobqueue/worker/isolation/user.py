"""Level `user`: the programs of each slot run as a Unix user of their own, who owns nothing but their directory."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobqueue.worker.host.hardening import LIBC, Call, without_capabilities
from jobqueue.worker.isolation import landlock
from jobqueue.worker.isolation.base import HOST_NETWORK, ImpossibleIsolation, Isolation

FIRST_UID = 59000
UIDS_TRIED = 1000


class UserIsolation(Isolation):
    """A program runs as another user, without capabilities. Needs a worker that is root."""

    level = "user"
    program_mode = 0o555  # users other than the owner start it

    def __init__(
        self,
        hidden: Sequence[str] = (),
        network: str = HOST_NETWORK,
        first_uid: int = FIRST_UID,
        uid: int | None = None,
    ) -> None:
        """`first_uid` is the first user id to try; `uid` is one that the worker has reserved already."""
        super().__init__(hidden, network)
        self._first_uid = first_uid
        self.uid = uid
        self._reservation: socket.socket | None = None

    def closed(self) -> Mapping[str, bool]:
        """Return what is closed. Sockets with a path are as open as their mode says."""
        closed = super().closed()
        return {**closed, "signals": True, "abstract sockets": closed["abstract sockets"] or landlock.has_scopes()}

    def reserve(self) -> None:
        """Reserve a user id. Raises ImpossibleIsolation."""
        super().reserve()
        if os.geteuid() != 0:
            raise ImpossibleIsolation(
                "ISOLATION is 'user', but this worker does not run as root, and only root can start programs as "
                "another user; start it as root, or choose landlock or none."
            )
        self.free()
        self.uid, self._reservation = reserve_user(self._first_uid)

    def free(self) -> None:
        """Free the user id for other slots."""
        if self._reservation:
            self._reservation.close()
            self._reservation = self.uid = None

    def describe(self) -> dict[str, Any]:
        """Return the description with the reserved user id."""
        return super().describe() | {"uid": self.uid}

    def confine_supervisor(self) -> None:
        """Deny the sockets of others in the abstract namespace, too: they belong to no user."""
        super().confine_supervisor()
        landlock.scope_abstract_sockets()

    def calls(self, outputs: Sequence[int]) -> Sequence[Call]:
        """Give the pipes to the user; return the calls that become the user, in the group of the same number and no
        other, irrevocably.
        """
        assert self.uid is not None, "reserve comes first"  # noqa: S101
        give_pipes(outputs, self.uid)
        # The user id comes last: only root can change groups.
        return [
            Call(LIBC.setgroups, 0, None),
            Call(LIBC.setresgid, self.uid, self.uid, self.uid),
            Call(LIBC.setresuid, self.uid, self.uid, self.uid),
            without_capabilities(),
        ]


def give_pipes(outputs: Sequence[int], user: int) -> None:
    """Make a user the owner of pipes. Only the owner can open them by name, as /dev/stdout and /dev/stderr."""
    for descriptor in outputs:
        os.fchown(descriptor, user, user)


def anybody_may_read(path: Path) -> bool:
    """Return whether a user who owns nothing can read a file. Raises OSError when it does not exist."""
    real = path.resolve(strict=True)
    reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    return reachable and bool(real.stat().st_mode & stat.S_IROTH)


def reserve_user(first: int) -> tuple[int, socket.socket]:
    """Return the first free user id from `first` on, and the socket that reserves it until it is closed.

    Raises ImpossibleIsolation when none of UIDS_TRIED ids is free.
    """
    # A user id is reserved by binding a Unix socket in the abstract namespace: binding is atomic, all workers of the
    # host share the names, and the kernel frees a name when its process dies, so nothing is left to clean up. A lock
    # file would need a directory that all workers can write and no job can.
    #
    # Accounts of the host are skipped because their files would be open to jobs. So are ids that still have processes:
    # these belong to a job whose worker died a moment ago and whose name is free already. The list is made before the
    # loop: a process that appears afterwards was started by a worker that holds the name, and binding it fails.
    busy = {entry.pw_uid for entry in pwd.getpwall()} | _users_of_processes()
    for user in range(first, first + UIDS_TRIED):
        if user not in busy and (reservation := _bind(user)):
            return user, reservation
    raise ImpossibleIsolation(
        f"ISOLATION is 'user', but the {UIDS_TRIED} user ids from ISOLATION_UID={first} on are all in use; choose "
        "another ISOLATION_UID."
    )


def _bind(user: int) -> socket.socket | None:
    """Return a socket with the name that stands for a user id; None when another process has it."""
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0jobqueue-uid-{user}")
    except OSError:
        reservation.close()
        return None
    return reservation


def _users_of_processes() -> set[int]:
    """Return the real, effective, saved and file-system user ids of all processes."""
    users: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # the process has ended meanwhile
            users |= set(map(int, status.read_text().partition("\nUid:")[2].split()[:4]))
    return users
