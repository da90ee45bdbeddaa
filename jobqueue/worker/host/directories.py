"""The directories of the cache and of the spool, which outlive the worker: where they are, made where missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jobqueue import logs
from jobqueue.settings import InvalidSetting
from jobqueue.worker.host.error_numbers import OUT_OF_RESOURCES
from jobqueue.worker.host.private_directory import make_own


@dataclass(frozen=True)
class Kind:
    """A kind of directory.

    setting: the worker's setting that names it. xdg_variable, below_home: where the XDG Base Directory Specification
    puts it when the setting is left out: below the directory in this variable, else below this one of the home.
    name: what it is called below a temporary directory.
    """

    setting: str
    xdg_variable: str
    below_home: str
    name: str

    def find(self, configured: Path | None, variables: Mapping[str, str], temporary: Path) -> Path:
        """Return the configured directory, else the standard one, else (no home, or a read-only one) a temporary one.

        It exists, and nobody else can write in it. Raises InvalidSetting when there can be no such directory.
        """
        if configured is not None:
            with usable(self.setting, configured):
                return _make(configured)
        # Without a setting the user has not asked for any directory, so the worker makes do with a temporary one, and
        # says so in the log. A configured directory is never replaced: reports would be spooled where the next worker
        # does not look for them.
        standard, fallback = self._standard(variables), temporary / f"jobqueue.{os.geteuid()}" / self.name
        try:
            if standard is not None:
                return _make(standard)
        except OSError as error:
            logs.logger().warning("directory_unusable", path=str(standard), reason=str(error), instead=str(fallback))
        try:
            _make(fallback.parent)
            return _make(fallback)
        except OSError as error:
            raise InvalidSetting(
                f"{self.setting} is not set, and its substitute {str(fallback)!r} cannot be used: "
                f"{_reason(error, self.setting, fallback)}. "
                f"Set {self.setting} to a directory that only the worker's user can write."
            ) from error

    def _standard(self, variables: Mapping[str, str]) -> Path | None:
        """Return the standard directory; None when the user has no home. A relative path in the variable is ignored, as
        the specification demands.
        """
        base = variables.get(self.xdg_variable, "")
        if base.startswith("/"):
            return Path(base) / "jobqueue"
        with suppress(RuntimeError):
            return Path.home() / self.below_home / "jobqueue"
        return None


CACHE = Kind("CACHE_DIR", "XDG_CACHE_HOME", ".cache", "cache")
SPOOL = Kind("SPOOL_DIR", "XDG_STATE_HOME", ".local/state", "spool")


@contextmanager
def usable(setting: str, directory: Path) -> Iterator[None]:
    """Turn an OSError in the context, in which the worker does in a directory what it cannot start without, into an
    InvalidSetting that names the setting. An error that is not about the directory is reported without it. TMPDIR has
    to exist; the others are made, with what is missing above them.
    """
    try:
        yield
    except OSError as error:
        subject = f"{setting}={directory} cannot be used"
        if error.errno in OUT_OF_RESOURCES:
            subject = "The worker cannot start on this host now"
        raise InvalidSetting(f"{subject}: {_reason(error, setting, directory)}.") from error


def _make(path: Path) -> Path:
    """Make a directory that only this user can enter. Raises OSError, also when it is another user's or read-only."""
    make_own(path)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError("it cannot be written")
    return path


def _reason(error: OSError, setting: str, directory: Path) -> str:
    """Return what went wrong in a directory as the end of a sentence."""
    if isinstance(error, FileNotFoundError):
        if setting == "TMPDIR" and not directory.exists():
            return "it does not exist"
        # Some file systems, such as /proc, answer like this when something should be made in them. Directories above
        # that are missing are made, so nothing else can be the reason.
        there = next(path for path in (directory, *directory.parents) if path.exists())
        return f"no directory can be made in {'it' if there == directory else there}"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
