"""Where a worker keeps what outlives it: directories of this user's alone, made where they are missing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jobqueue import logs
from jobqueue.settings import InvalidSetting
from jobqueue.worker.host.private_directory import make_own

SHORT_OF_ALL_ELSE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors that are no directory's: there are no more processes, there is no more memory, there are no more files."""


def cache_directory(asked: Path | None, variables: Mapping[str, str], temporary: Path) -> Path:
    """Return the directory of the downloaded programs. Raises InvalidSetting when it cannot be had."""
    return _directory("CACHE_DIR", asked, _standard(variables, "XDG_CACHE_HOME", ".cache"), temporary, "cache")


def spool_directory(asked: Path | None, variables: Mapping[str, str], temporary: Path) -> Path:
    """Return the directory of the waiting reports. Raises InvalidSetting when it cannot be had."""
    return _directory("SPOOL_DIR", asked, _standard(variables, "XDG_STATE_HOME", ".local/state"), temporary, "spool")


@contextmanager
def usable(setting: str, directory: Path) -> Iterator[None]:
    """Do in a directory what the worker cannot start without. Raises InvalidSetting when the system refuses: the disk
    is full, the directory gone.
    """
    try:
        yield
    except OSError as error:
        if error.errno in SHORT_OF_ALL_ELSE:
            raise InvalidSetting(f"The worker cannot begin on this machine now: {error.strerror}.") from error
        raise InvalidSetting(
            f"{setting} is {str(directory)!r}, which is of no use now: {error.strerror or error}."
        ) from error


def _standard(variables: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """Return where the XDG Base Directory Specification puts such things, None for who has no home."""
    told = variables.get(variable, "")
    if told.startswith("/"):
        return Path(told) / "jobqueue"
    try:
        return Path.home() / below_home / "jobqueue"
    except RuntimeError:
        return None


def _directory(setting: str, asked: Path | None, standard: Path | None, temporary: Path, name: str) -> Path:
    """Return the directory asked for, else the standard one, else (no home, or a read-only one) a temporary one."""
    if asked is not None:
        try:
            return _make(asked)
        except OSError as error:
            raise InvalidSetting(
                f"{setting} is {str(asked)!r}, but must be a directory that is the worker's own and can be written: "
                f"{error.strerror or error}."
            ) from error
    instead = temporary / f"jobqueue.{os.geteuid()}" / name
    try:
        if standard is not None:
            return _make(standard)
    except OSError as error:
        logs.logger().warning("directory_unusable", path=str(standard), reason=str(error), instead=str(instead))
    try:
        _make(instead.parent)
        return _make(instead)
    except OSError as error:
        raise InvalidSetting(
            f"{setting} is not set, and {str(instead)!r} cannot be had for it: {error.strerror or error}. "
            f"Set {setting} to a directory of the worker's own."
        ) from error


def _make(path: Path) -> Path:
    """Make a directory that nobody else may enter. Raises OSError, also when it is somebody else's or of no use."""
    make_own(path)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError("it cannot be written")
    return path
