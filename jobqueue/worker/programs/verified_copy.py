"""Copies a file only if its hash is right: it is read once, and hashed on the way.

A job of the worker's own user can open every file of the worker, and put others into their places. So a copy is made in
a file without a name, which nobody else can open, and gets its name only when it is complete. A lease (fcntl(2),
F_SETLEASE) guards it from then on: the kernel lets nobody write to a file with a read lease before its holder was told,
and gives the holder most of a minute. And the copy stays open, so that whoever starts it can tell it from another file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
import threading
from pathlib import Path

from jobqueue.worker.programs.errors import DownloadStopped

F_SETSIG, F_SETLEASE = 10, 1024
CHUNK_BYTES = 256 * 1024
MAGIC = b"\x7fELF"
MODE = 0o500

IMPOSSIBLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EISDIR, errno.EPERM, errno.EACCES)
"""Errors after which no other try is made: there are no files without a name, or no leases."""


class VerifiedFile:
    """The file of a program that was verified, kept open until the program has been started. For one thread.

    As long as it is open, no other file has its number. A lease on it is given back when it is closed.
    """

    def __init__(self) -> None:
        self._fd: int | None = None

    @property
    def number(self) -> tuple[int, int] | None:
        """The device and the number of the file; None when there is none."""
        if self._fd is None:
            return None
        info = os.fstat(self._fd)
        return info.st_dev, info.st_ino

    def keep(self, fd: int) -> None:
        """Keep a descriptor, instead of what was kept before."""
        self.close()
        self._fd = fd

    def chmod(self, mode: int) -> None:
        """Set the mode of the file, wherever it is."""
        if self._fd is not None:
            os.fchmod(self._fd, mode)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def copy_verified(source_fd: int, sha256: str, target: Path, stopped: threading.Event, verified: VerifiedFile) -> bool:
    """Copy an open file to `target`, a new file, mode 0500; return whether the hash is right. The copy is kept open.

    There is no copy when it is wrong, nor after DownloadStopped or OSError. The copy shares no data with the source:
    a program that writes to its own file leaves the cache unchanged.
    """
    try:
        target_fd, named = os.open(target.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, MODE), False
    except OSError as error:
        if error.errno not in IMPOSSIBLE:
            raise
        target_fd, named = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), True
    reader = None
    try:
        good = write_verified(source_fd, target_fd, sha256, stopped)
        reader = reopened(target_fd)
    finally:
        os.close(target_fd)
        if named and (reader is None or not good):
            os.unlink(target)
    try:
        if good:
            _finish(reader, target, named)
            verified.keep(os.dup(reader))
    finally:
        os.close(reader)
    return good


def hold_verified(path: Path, sha256: str, stopped: threading.Event, verified: VerifiedFile) -> bool:
    """Keep a file open that lies at its place already; return whether its hash is right, and stays so."""
    reader = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        good = _lease_if_elf(reader) and write_verified(reader, None, sha256, stopped)
        if good:
            os.fchmod(reader, MODE)
            verified.keep(os.dup(reader))
    finally:
        os.close(reader)
    return good


def write_verified(source_fd: int, target_fd: int | None, sha256: str, stopped: threading.Event) -> bool:
    """Copy an open file to another one, if there is one; return whether the hash is right.

    Raises DownloadStopped and OSError.
    """
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
        while target_fd is not None and chunk:
            chunk = chunk[os.write(target_fd, chunk) :]
    return digest.hexdigest() == sha256


def is_elf(fd: int) -> bool:
    """Whether an open file is an ELF file: the kernel lets nobody write to one that runs."""
    return os.pread(fd, len(MAGIC), 0) == MAGIC


def reopened(fd: int) -> int:
    """Return another descriptor of an open file, which can only be read."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def link(fd: int, target: Path) -> None:
    """Give an open file a name. By the descriptor, since a job of the same user may have replaced what has a name."""
    os.link(f"/proc/self/fd/{fd}", target, src_dir_fd=fd)


def lease(fd: int) -> None:
    """Take a read lease. Raises OSError where there are none, BlockingIOError while somebody may write to the file."""
    # By default the kernel sends SIGIO when somebody wants to write, which would end the worker; SIGURG is ignored.
    # Whoever wants to write waits, or is told to try again.
    fcntl.fcntl(fd, F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, F_SETLEASE, fcntl.F_RDLCK)


def _finish(reader: int, target: Path, named: bool) -> None:
    """Give a good copy its mode, its lease and its name."""
    os.fchmod(reader, MODE)
    _lease_if_elf(reader)
    if not named:
        link(reader, target)


def _lease_if_elf(fd: int) -> bool:
    """Take a lease on an ELF file, where there are leases; return False when somebody may write to it.

    A script may write to itself while it runs, and would have to wait for the lease.
    """
    try:
        if is_elf(fd):
            lease(fd)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
