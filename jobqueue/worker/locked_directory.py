"""A directory that is one worker's while it lives: locked, so that a later one can tell what a dead one has left.

The lock is flock(2)'s: the kernel lets go of it however the worker ends. A directory is made under a name that nobody
looks for and gets its own once it is locked.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

LOCK = "lock"
RANDOM_BYTES = 6
UNFINISHED = ".jobqueue-new-"


class LockedDirectory:
    """Made by `create`, or found without its worker by `abandoned`; ours until `close`."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    @classmethod
    def create(cls, parent: Path, prefix: str) -> Self:
        """Make a directory with a name that begins with `prefix`. Raises OSError."""
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
        lock_fd = os.open(unfinished / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        path = parent / f"{prefix}{secrets.token_hex(RANDOM_BYTES)}"
        unfinished.rename(path)
        return cls(path, lock_fd)

    @classmethod
    def abandoned(cls, parent: Path, prefix: str) -> Iterator[Self]:
        """Yield, locked, each such directory of this user's whose worker is dead. One whose name only begins like that
        is somebody's own.
        """
        name = re.compile(f"{re.escape(prefix)}[0-9a-f]{{{2 * RANDOM_BYTES}}}")
        for path in sorted(parent.iterdir()):
            if name.fullmatch(path.name) and (lock_fd := _take(path)) is not None:
                yield cls(path, lock_fd)

    def close(self) -> None:
        """Let go of the lock. The directory may be gone by then."""
        os.close(self._lock_fd)


def _take(path: Path) -> int | None:
    """Return the lock of a directory when nobody holds it; a link, or what is somebody else's, is not touched."""
    try:
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            return None
        lock_fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        return None
    return lock_fd
