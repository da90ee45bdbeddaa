"""Copies a file only if its hash is right: it is read once, and hashed on the way."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

from jobqueue.worker.programs.errors import DownloadStopped

CHUNK_BYTES = 256 * 1024


def copy_verified(source_fd: int, target: Path, sha256: str, stopped: threading.Event) -> bool:
    """Copy an open file to `target`, a new file, mode 0500; return whether the hash is right.

    There is no copy when it is wrong, nor after DownloadStopped or OSError. The copy shares no data with the source:
    a program that writes to its own file leaves the cache unchanged.
    """
    target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    good = False
    try:
        good = write_verified(source_fd, target_fd, sha256, stopped)
        if good:
            os.fchmod(target_fd, 0o500)
    finally:
        os.close(target_fd)
        if not good:
            os.unlink(target)
    return good


def write_verified(source_fd: int, target_fd: int, sha256: str, stopped: threading.Event) -> bool:
    """Copy an open file to another one; return whether the hash is right. Raises DownloadStopped and OSError."""
    info = os.fstat(source_fd)
    if not stat.S_ISREG(info.st_mode):
        return False
    # At most the size that the file had at first: a job could make it grow for as long as we read it.
    size = info.st_size
    digest = hashlib.sha256()
    while size > 0 and (chunk := os.read(source_fd, min(size, CHUNK_BYTES))):
        if stopped.is_set():
            raise DownloadStopped
        digest.update(chunk)
        size -= len(chunk)
        while chunk:
            chunk = chunk[os.write(target_fd, chunk) :]
    return digest.hexdigest() == sha256
