"""Verified copies of programs that are used again and again without another look at their content.

A job of the worker's own user can open every file of the worker, so a file that was verified may be changed later. What
makes these copies safe is a lease (fcntl(2), F_SETLEASE): the kernel lets nobody write to a file with a read lease
before its holder was told, and gives the holder most of a minute. A copy is made in a file without a name, which nobody
else can open, and gets a name only with the lease. So as long as the lease is unbroken, the content is what was hashed.

A program is started from a hard link in its workspace. So it has its own name and place there, and as long as a copy
has another link, it is in use, and nobody else gets it. Only ELF files are kept: the kernel lets nobody write to one
that runs, whereas a script may change itself, and would have to wait for the lease.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobqueue.worker.host.hardening import LIBC, checked
from jobqueue.worker.programs.verified_copy import (
    IMPOSSIBLE,
    MODE,
    VerifiedFile,
    is_elf,
    lease,
    link,
    reopened,
    write_verified,
)

F_GETLEASE = 1025
BREAK_SECONDS = Path("/proc/sys/fs/lease-break-time")
LEAST_BREAK_SECONDS = 10
"""How long a start may take from the look at the lease to the execution."""

FILE_SYSTEMS = (0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994, 0x794C7630)
"""ext4, XFS, Btrfs, F2FS, tmpfs and overlayfs, where the kernel itself sees every writer."""

STATFS_BYTES = 256
LARGE_BYTES = 4 * 1024**2
"""A program of this size is kept when it is first used, a smaller one when it is used again."""

MOST_COPIES = 16
"""Each copy is an open file."""

MOST_BYTES = 1024**3
MOST_SEEN = 1000


@dataclass
class _Copy:
    """A file with a lease, and its permanent name."""

    sha256: str
    fd: int
    name: str
    attributes: object

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return os.fstat(self.fd).st_size

    def is_in_use(self) -> bool:
        """Whether there is a link to it in a workspace, or anywhere else."""
        return os.fstat(self.fd).st_nlink > 1

    def is_unchanged(self) -> bool:
        """Whether nobody has written to the file or tried to, nor left anything else on it."""
        return fcntl.fcntl(self.fd, F_GETLEASE) == fcntl.F_RDLCK and _attributes(self.fd) == self.attributes

    def link(self, target: Path) -> bool:
        """Make a link to it; return whether that was possible."""
        with suppress(OSError):
            os.fchmod(self.fd, MODE)
            link(self.fd, target)
            return True
        return False

    def drop(self) -> None:
        """Remove it. A program that runs from a link to it runs on."""
        os.close(self.fd)
        with suppress(OSError):
            os.unlink(self.name)


class KeptCopies:
    """The copies of one worker. Any thread may call any of the functions."""

    def __init__(self, parent: Callable[[], Path], most_bytes: int = MOST_BYTES) -> None:
        """`parent` returns the directory to keep copies below, on the file system of the workspaces."""
        self._parent = parent
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._copies: list[_Copy] = []  # the least recently used first
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._directory: str | None = None
        self._possible = True

    def link(self, sha256: str, target: Path, verified: VerifiedFile) -> bool:
        """Make `target` a link to a copy that no other program runs from, and keep it open; return whether there was
        one.
        """
        with self._lock:
            for copy in [each for each in self._copies if each.sha256 == sha256 and not each.is_in_use()]:
                self._copies.remove(copy)
                if copy.is_unchanged() and copy.link(target):
                    self._copies.append(copy)
                    verified.keep(os.dup(copy.fd))
                    return True
                copy.drop()
        return False

    def make(
        self, source_fd: int, sha256: str, target: Path, stopped: threading.Event, verified: VerifiedFile
    ) -> bool | None:
        """Copy an open file, keep the copy and make `target` a link to it, if that is worth while and possible here.

        Return whether the hash is right; None when nothing was done. Raises DownloadStopped.
        """
        if not self._is_worth_while(source_fd, sha256):
            return None
        try:
            with self._lock:
                directory = self._existing_directory()
            fd, good = _copy(source_fd, directory, sha256, stopped)
        except OSError as error:
            self._possible = error.errno not in IMPOSSIBLE
            return None
        finally:
            os.lseek(source_fd, 0, os.SEEK_SET)
        copy = _Copy(sha256, fd, f"{directory}/{secrets.token_hex(8)}", _attributes(fd))
        if not (good and copy.link(Path(copy.name)) and copy.link(target)):
            copy.drop()
            return None if good else False
        verified.keep(os.dup(fd))
        with self._lock:
            self._copies.append(copy)
            while len(self._copies) > MOST_COPIES or sum(each.size for each in self._copies) > self._most_bytes:
                self._copies.pop(0).drop()
        return True

    def drop_all(self) -> bool:
        """Remove all copies; return whether there was any."""
        with self._lock:
            dropped, self._copies = self._copies, []
        for copy in dropped:
            copy.drop()
        return bool(dropped)

    def _is_worth_while(self, source_fd: int, sha256: str) -> bool:
        size = os.fstat(source_fd).st_size
        if not self._possible or size > self._most_bytes or not is_elf(source_fd):
            return False
        with self._lock:
            seen = sha256 in self._seen
            self._seen[sha256] = None
            while len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
        return seen or size >= LARGE_BYTES

    def _existing_directory(self) -> str:
        if self._directory is None or not os.path.isdir(self._directory):
            directory = f"{self._parent()}/programs-{secrets.token_hex(8)}"
            os.mkdir(directory, 0o700)
            self._directory = directory
            if _break_seconds() < LEAST_BREAK_SECONDS or _file_system(directory) not in FILE_SYSTEMS:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), directory)
        return self._directory


def _copy(source_fd: int, directory: str, sha256: str, stopped: threading.Event) -> tuple[int, bool]:
    """Return a descriptor with a lease on a copy that has no name yet, and whether its hash is right. Raises OSError
    when the file system has no files without a name or no leases.
    """
    fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, MODE)
    try:
        good = write_verified(source_fd, fd, sha256, stopped)
        reader = reopened(fd)
    finally:
        os.close(fd)
    try:
        lease(reader)  # the worker looks at it before each start
    except OSError:
        os.close(reader)
        raise
    return reader, good


def _attributes(fd: int) -> object:
    """Return what a job can leave on its program's file; the mode is set anew for each program."""
    info = os.fstat(fd)
    return info.st_uid, info.st_gid, info.st_size, info.st_mtime_ns, os.listxattr(fd)


def _break_seconds() -> int:
    """Return how long the kernel lets a writer wait for the holder of a lease; 0 where it does not say."""
    with suppress(OSError, ValueError):
        return int(BREAK_SECONDS.read_text())
    return 0


def _file_system(path: str) -> int:
    """Return the number of the kind of file system that a path is on, as statfs(2) has it."""
    result = ctypes.create_string_buffer(STATFS_BYTES)
    checked(LIBC.statfs(os.fsencode(path), result))
    return ctypes.c_long.from_buffer(result).value
