"""A directory that belongs to one living worker. It is locked, so that others can tell when the worker is dead.

The lock is flock(2)'s, on the directory itself: the kernel frees it however the worker ends, and a job cannot remove
it. The directory is created under a temporary name and renamed once it is locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

LOCK = "lock"
"""A file in the directory that is locked instead where directories cannot be locked: on NFS."""

RANDOM_BYTES = 6
UNFINISHED = ".new-"
UNFINISHED_SECONDS = 60.0
"""The age from which a directory with a temporary name counts as abandoned: locking it takes no time at all."""


class LockedDirectory:
    """A directory that this process holds until `close`: a new one, or one that a dead worker has left."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    @classmethod
    def create(cls, parent: Path, prefix: str) -> Self:
        """Make a directory whose name begins with `prefix`. Raises OSError."""
        # A directory cannot be created locked. Under its final name it would look abandoned between mkdir and flock,
        # and another worker that starts at that moment would remove it. So it is locked under a name that others leave
        # alone for a minute, and renamed then: the lock belongs to the directory, not to its name.
        name = f"{prefix}{secrets.token_hex(RANDOM_BYTES)}"
        unfinished = parent / f"{UNFINISHED}{name}"
        unfinished.mkdir(mode=0o700)
        try:
            lock_fd = _lock(unfinished)
            unfinished.rename(parent / name)
        except OSError:
            unfinished.rmdir()
            raise
        return cls(parent / name, lock_fd)

    @classmethod
    def abandoned(cls, parent: Path, prefix: str) -> Iterator[Self]:
        """Yield, locked, each such directory of this user whose worker is dead."""
        # The whole name must match, random part included: what a user calls `jobqueue-notes` is not a worker's.
        unfinished = f"(?P<unfinished>{re.escape(UNFINISHED)})?"
        name = re.compile(f"{unfinished}{re.escape(prefix)}[0-9a-f]{{{2 * RANDOM_BYTES}}}")
        for path in sorted(parent.iterdir()):
            match = name.fullmatch(path.name)
            if match and not (match["unfinished"] and _is_young(path)) and (lock_fd := _take(path)) is not None:
                yield cls(path, lock_fd)

    def close(self) -> None:
        """Free the lock. The directory may be gone by then."""
        os.close(self._lock_fd)


def _take(path: Path) -> int | None:
    """Return the lock of a directory of this user; None when it is held, or is not such a directory."""
    with suppress(OSError):
        if path.lstat().st_uid == os.geteuid():
            return _lock(path)
    return None


def _lock(path: Path) -> int:
    """Return the lock of a directory. Raises OSError when it is not a directory or another process holds the lock."""
    with ExitStack() as stack:
        lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, lock_fd)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # NFS emulates flock by byte-range locks and wants a file that is open for writing, see flock(2). A
            # directory cannot be, so a file in it is locked. A job that removes that file makes its workspace look
            # abandoned; on local file systems, where jobs should run, there is no such file.
            lock_fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=lock_fd)
            stack.callback(os.close, lock_fd)
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The duplicate holds the same lock, which is freed when the last descriptor of it is closed.
        return os.dup(lock_fd)


def _is_young(path: Path) -> bool:
    """Whether a directory may still be on its way to its final name; one that is gone was."""
    with suppress(OSError):
        return time.time() - path.stat().st_mtime < UNFINISHED_SECONDS
    return True
