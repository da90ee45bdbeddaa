"""A directory in which nobody but this user may write, and which nobody else may enter when it is new."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_own(directory: Path) -> None:
    """Make a directory with mode 0700. One that is there stays as open as it is, since it may hold what others have to
    reach; only where we could not enter it ourselves we shall.

    Raises OSError when it is a link, somebody else's, or one that others may write in: then others may decide what
    lies there.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    mode = _mode(directory)
    if mode & WRITTEN_BY_OTHERS:
        raise PermissionError(errno.EPERM, "others may write in it: name one below it, or chmod 700 it", str(directory))
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        directory.chmod(mode | stat.S_IRWXU)


def mend_own(directory: Path) -> None:
    """Make it again, or its mode, when a job of this user has removed it, closed it to us or opened it to others.

    Raises OSError when it is a link or somebody else's.
    """
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    mode = _mode(directory)
    if mode & WRITTEN_BY_OTHERS or mode & stat.S_IRWXU != stat.S_IRWXU:
        directory.chmod(stat.S_IRWXU)


def _mode(directory: Path) -> int:
    info = directory.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is a link or a file, not a directory", str(directory))
    if info.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(directory))
    return stat.S_IMODE(info.st_mode)
