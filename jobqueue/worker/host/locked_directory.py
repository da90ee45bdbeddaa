"""A directory that is one worker's while it lives: locked, so that a later one can tell what a dead one has left.

The lock is flock(2)'s, on the directory itself: the kernel lets go of it however the worker ends, and no job can
remove it. A directory is made under a name of another kind and gets its own once it is locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

LOCK = "lock"
"""A file in it that is locked instead where directories cannot be: on NFS."""

RANDOM_BYTES = 6
UNFINISHED = ".new-"
UNFINISHED_SECONDS = 60.0
"""How long it may take to lock a new one; nobody will any more after that."""


class LockedDirectory:
    """Made by `create`, or found without its worker by `abandoned`; ours until `close`."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    @classmethod
    def create(cls, parent: Path, prefix: str) -> Self:
        """Make a directory with a name that begins with `prefix`. Raises OSError."""
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
        """Yield, locked, each such directory of this user's whose worker is dead. One whose name only begins like that
        is somebody's own.
        """
        unfinished = f"(?P<unfinished>{re.escape(UNFINISHED)})?"
        name = re.compile(f"{unfinished}{re.escape(prefix)}[0-9a-f]{{{2 * RANDOM_BYTES}}}")
        for path in sorted(parent.iterdir()):
            found = name.fullmatch(path.name)
            if found and not (found["unfinished"] and _is_young(path)) and (lock_fd := _take(path)) is not None:
                yield cls(path, lock_fd)

    def close(self) -> None:
        """Let go of the lock. The directory may be gone by then."""
        os.close(self._lock_fd)


def _take(path: Path) -> int | None:
    """Return the lock of a directory when nobody holds it; a link, or what is somebody else's, is not touched."""
    with suppress(OSError):
        if path.lstat().st_uid == os.geteuid():
            return _lock(path)
    return None


def _lock(path: Path) -> int:
    """Return the lock of a directory. Raises OSError: it is no directory, or somebody holds the lock."""
    lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EBADF:  # NFS wants a file that is open for writing, see flock(2)
                raise
            file_fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=lock_fd)
            os.close(lock_fd)
            lock_fd = file_fd
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        raise
    return lock_fd


def _is_young(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.stat().st_mtime < UNFINISHED_SECONDS
    return True
