"""A copy of a file that is only there when the file holds what it should: read once, hashed on the way."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

from jobqueue.worker.programs.errors import DownloadStopped

CHUNK_BYTES = 256 * 1024


def copy_verified(source_fd: int, target: Path, sha256: str, stopped: threading.Event) -> bool:
    """Copy an open file to `target`, a new file, mode 0500; return False, and leave none, when its hash is another.

    The copy is a file of its own: whoever writes to it changes nothing else. Raises DownloadStopped, OSError, and
    leaves no copy then either.
    """
    info = os.fstat(source_fd)
    if not stat.S_ISREG(info.st_mode):
        return False
    target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    good = False
    try:
        good = _copy(source_fd, target_fd, info.st_size, stopped) == sha256
        if good:
            os.fchmod(target_fd, 0o500)
    finally:
        os.close(target_fd)
        if not good:
            os.unlink(target)
    return good


def _copy(source_fd: int, target_fd: int, size: int, stopped: threading.Event) -> str:
    """Copy at most `size` bytes, which is what there was: a file that grows meanwhile is not the right one."""
    digest = hashlib.sha256()
    while size > 0 and (chunk := os.read(source_fd, min(size, CHUNK_BYTES))):
        if stopped.is_set():
            raise DownloadStopped
        digest.update(chunk)
        size -= len(chunk)
        while chunk:
            chunk = chunk[os.write(target_fd, chunk) :]
    return digest.hexdigest()
