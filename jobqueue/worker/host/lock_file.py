"""A lock between all threads and processes of a host: a file that is there while somebody holds it, or soon after.

The lock is flock(2)'s: the kernel lets go of it however its holder ends. The holder removes the file before it lets go,
so files do not pile up; whoever then gets the lock of a file that is gone notices, and begins again.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHORTEST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.1


@contextmanager
def hold(path: Path, stopped: threading.Event, within_seconds: float) -> Iterator[bool]:
    """Hold a lock in the context; yield whether it is held, False when `stopped` or the end of the time came first.

    Raises OSError when there can be no such file.
    """
    lock_fd = _wait_for(path, stopped, time.monotonic() + within_seconds)
    try:
        yield lock_fd is not None
    finally:
        if lock_fd is not None:
            with suppress(OSError):
                path.unlink()
            os.close(lock_fd)


def _wait_for(path: Path, stopped: threading.Event, until: float) -> int | None:
    pause_seconds = SHORTEST_PAUSE_SECONDS
    while (lock_fd := _take(path)) is None:
        if time.monotonic() >= until or stopped.wait(pause_seconds):
            return None
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
    return lock_fd


def _take(path: Path) -> int | None:
    """Return the lock when nobody holds it. Each call opens the file anew: so threads exclude one another, too."""
    lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(lock_fd, path):
            return lock_fd
    except BlockingIOError:
        pass
    except OSError:
        os.close(lock_fd)
        raise
    os.close(lock_fd)
    return None


def _is_at(lock_fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock_fd), os.lstat(path))
    except FileNotFoundError:
        return False
