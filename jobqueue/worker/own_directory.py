"""A directory that nobody but this user may look into."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path


def make_own(directory: Path) -> None:
    """Make a directory with mode 0700, or give one that is ours this mode.

    Raises OSError when it is a link or somebody else's: then others may decide what lies there.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    info = directory.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is a link or a file, not a directory", str(directory))
    if info.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(directory))
    if stat.S_IMODE(info.st_mode) != stat.S_IRWXU:
        directory.chmod(0o700)
