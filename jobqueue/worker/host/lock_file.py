"""A lock between all threads and processes of a host: a file that exists while one of them holds it, or soon after.

The lock is flock(2)'s, so the kernel frees it however its holder ends. The holder removes the file before it frees the
lock, so that files do not pile up. A process that then gets the lock of a file that is gone notices it and starts over.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SHORTEST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.1


@contextmanager
def hold(path: Path, stopped: threading.Event, within_seconds: float) -> Iterator[bool]:
    """Hold a lock in the context. Yields False, without the lock, when `stopped` is set or the time is over first.

    Raises OSError when the file cannot be made.
    """
    lock_fd = _wait_for(path, stopped, time.monotonic() + within_seconds)
    try:
        yield lock_fd is not None
    finally:
        if lock_fd is not None:
            # Unlink first, while the lock is held: after closing, the path might be the file of the next holder.
            with suppress(OSError):
                path.unlink()
            os.close(lock_fd)


def _wait_for(path: Path, stopped: threading.Event, deadline: float) -> int | None:
    """Return the lock as soon as it is free. Polls, because a blocking flock could not be interrupted by `stopped`."""
    pause_seconds = SHORTEST_PAUSE_SECONDS
    while (lock_fd := _take(path)) is None:
        if time.monotonic() >= deadline or stopped.wait(pause_seconds):
            return None
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
    return lock_fd


def _take(path: Path) -> int | None:
    """Return the lock; None when it is held. Each call opens the file anew, so that threads exclude each other, too."""
    with ExitStack() as stack:
        lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        stack.callback(os.close, lock_fd)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between our open and our flock the last holder may have removed the file. Then we have locked a file that
            # nobody else can find, and another process may lock a new one at the path: our lock is worth nothing.
            if os.path.samestat(os.fstat(lock_fd), os.lstat(path)):
                stack.pop_all()
                return lock_fd
    return None
