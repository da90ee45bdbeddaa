"""Files in the directory of a cache. A job of the same user may have replaced any of them by something else."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


def is_unlocked(path: str) -> bool:
    """Whether no process has locked a file."""
    with open_entry(path) as source_fd:
        if source_fd is not None:
            with suppress(BlockingIOError):
                fcntl.flock(source_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
    return False


def free_bytes(directory: Path) -> int:
    """Return the free bytes on a disk; 0 when it is out of inodes (`f_files` is 0 where none are counted)."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize if disk.f_favail or not disk.f_files else 0


@contextmanager
def open_entry(path: str) -> Iterator[int | None]:
    """Hand out a descriptor of an open file; None when there is no such file, or it cannot be read."""
    with ExitStack() as stack:
        source_fd = None
        with suppress(OSError):
            source_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            stack.callback(os.close, source_fd)
        yield source_fd


def try_to_remove(path: str) -> bool:
    """Remove a file; return whether that was possible."""
    with suppress(OSError):
        os.unlink(path)
        return True
    return False


def mark_as_used(file: str | int) -> None:
    """Mark a file, by its path or its descriptor, as the most recently used one, if that is possible."""
    with suppress(OSError):
        os.utime(file)
