"""Files in the directory of a cache. A job of the same user may have replaced any of them by something else."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from jobqueue.worker.host.lock_file import hold

SHA256 = re.compile(r"[0-9a-f]{64}")
UNFINISHED = re.compile(r"([0-9a-f]{64})(\.[0-9a-f]+\.part|\.lock)")


class Entries:
    """What lies in the directory of a cache: complete programs, and what downloads have left."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path_of(self, sha256: str) -> str:
        """Return where the entry of a program is, if there is one."""
        return f"{self._directory}/{sha256[:2]}/{sha256}"

    def evict(self, max_bytes: int, kept_sha256: str) -> bool:
        """Remove the least recently used entries, but not `kept_sha256`, until all together take at most `max_bytes`.

        Return whether any was removed. Other threads and workers may do the same at the same time.
        """
        entries = sorted(self._all())
        left, removed = sum(size for _, size, _ in entries), False
        for _, size, path in entries:
            if left <= max_bytes:
                break
            if os.path.basename(path) != kept_sha256:
                removed |= try_to_remove(path)
                left -= size
        return removed

    def _all(self) -> Iterator[tuple[int, int, str]]:
        """Yield time of last use (nanoseconds), size and path of every entry."""
        for file in self._files():
            if SHA256.fullmatch(file.name):
                with suppress(OSError):
                    info = file.stat(follow_symlinks=False)
                    yield info.st_mtime_ns, info.st_size, file.path

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for shard in [*os.scandir(self._directory)]:
            with suppress(OSError):
                if shard.is_dir(follow_symlinks=False):
                    yield from [*os.scandir(shard)]

    def remove_unfinished(self) -> None:
        """Remove what dead workers have left: unfinished downloads, and lock files that no process holds.

        A `.part` belongs to a dead worker when neither it nor its program is locked; a living worker makes and locks it
        while it holds the lock of the program. `hold` removes the lock file when it is released, so for a lock file
        that was left alone it is enough to hold it.
        """
        unfinished = [(match[1], file.path) for file in self._files() if (match := UNFINISHED.fullmatch(file.name))]
        for sha256, path in unfinished:
            lock = Path(path).with_name(f"{sha256}.lock")
            with suppress(OSError), hold(lock, threading.Event(), 0) as held:
                if held and path.endswith(".part") and is_unlocked(path):
                    os.unlink(path)


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
