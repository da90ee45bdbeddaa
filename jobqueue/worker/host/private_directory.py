"""A directory in which only this user can write, and which only this user can enter when it is new."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_own(directory: Path) -> None:
    """Make a directory with mode 0700. An existing one keeps its mode, unless this user could not enter it.

    Raises OSError when it is a link, belongs to another user, or can be written by others.
    """
    # An existing directory may be readable for a reason, so that is left alone. Where others can write they decide
    # what lies there, and changing the mode could break something (it may be /tmp), so that is refused.
    directory.parent.mkdir(parents=True, exist_ok=True)
    mode = _make(directory)
    if mode & WRITTEN_BY_OTHERS:
        raise PermissionError(errno.EPERM, "others can write in it; name one below it, or chmod 700 it", str(directory))
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        directory.chmod(mode | stat.S_IRWXU)


def mend_own(directory: Path) -> None:
    """Restore a directory, or its mode, when a job of this user has removed it, closed it to us or opened it to others.

    Raises OSError when it is a link or belongs to another user.
    """
    mode = _make(directory)
    if mode & WRITTEN_BY_OTHERS or mode & stat.S_IRWXU != stat.S_IRWXU:
        directory.chmod(stat.S_IRWXU)


def _make(directory: Path) -> int:
    """Make a directory unless it exists; return its mode. Raises OSError when it is a link or another user's."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    info = directory.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is a link or a file, not a directory", str(directory))
    if info.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(directory))
    return stat.S_IMODE(info.st_mode)
