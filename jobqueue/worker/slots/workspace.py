"""The directories of one attempt: where its program lies and where it runs. They are removed when the attempt ends.

All workspaces of a worker lie in one directory, which the worker keeps locked. A directory of this kind that nobody has
locked was left by a killed worker; `leftovers` removes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Self

from jobqueue import logs
from jobqueue.worker.host.locked_directory import LockedDirectory
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.program_name import DEFAULT, WORK

PREFIX = "jobqueue-"
ALL_MAY_PASS = 0o711
"""The mode of the directories above a job's own: a job of another user may pass through them, but list nothing."""

CHUNK_BYTES = 64 * 1024


class Workspaces:
    """The workspaces of one worker, in a directory of its own."""

    def __init__(self, children: Children, parent: Path) -> None:
        """Create the worker's directory in `parent`. Raises OSError."""
        self.children = children
        # What a program finds in HOME and TMPDIR has to be the path that it gets from getcwd(3), and a sandbox is built
        # from real directories. So a TMPDIR behind a symbolic link is used by its real path.
        self._parent = Path(os.path.realpath(parent))
        self._lock = threading.Lock()
        self._own = self._make()

    @property
    def path(self) -> Path:
        """The directory that contains all workspaces."""
        return self._own.path

    def create(self, name: str, isolation: Isolation, program_name: str = DEFAULT) -> Workspace:
        """Return a new workspace for a program with this isolation and a file of that name. Raises OSError."""
        # A job of the worker's own user can remove the directory of all workspaces. That must not end the worker, so
        # the next attempt creates another one.
        with self._lock:
            if not self._own.path.exists():
                logs.logger().warning("workspaces_gone", path=str(self._own.path))
                gone, self._own = self._own, self._make()
                gone.close()
        return Workspace(self._own.path / name, isolation, self.children, program_name)

    def _make(self) -> LockedDirectory:
        own = LockedDirectory.create(self._parent, PREFIX)
        own.path.chmod(ALL_MAY_PASS)
        return own

    def close(self, within_seconds: float | None = None) -> None:
        """Remove the directory. What is not removed within that time is left to the next worker on this host, and
        logged as `workspaces_left`.
        """
        _begin_to_remove(self._own.path, self.children)(within_seconds)
        if self._own.path.exists():
            logs.logger().warning("workspaces_left", path=str(self._own.path))
        self._own.close()


class Workspace:
    """`program` is the path for the program's file, `directory` the empty directory that the program starts in."""

    def __init__(self, path: Path, isolation: Isolation, children: Children, program_name: str) -> None:
        """Make the directories; a random part is added to the path. Raises OSError."""
        self._children = children
        self._root = Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=path.parent))
        self.program = self._root / program_name
        self.directory = self._root / WORK
        try:
            self._root.chmod(ALL_MAY_PASS)
            self.directory.mkdir(mode=0o700)
            if isolation.uid is not None:
                os.chown(self.directory, isolation.uid, isolation.uid)
        except OSError:
            remove(self._root, children)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        remove(self._root, self._children)

    def remove_within(self, seconds: float) -> Callable[[], None]:
        """Remove the workspace. After that time, return; the removal goes on in a thread.

        Returns a function that waits for the end of the removal.
        """
        # Most programs leave nothing behind: three system calls, and no thread.
        try:
            self.program.unlink(missing_ok=True)
            self.directory.rmdir()
            self._root.rmdir()
        except OSError:
            wait = _begin_to_remove(self._root, self._children)
            wait(seconds)
            return wait
        return lambda: None


def _begin_to_remove(path: Path, children: Children) -> Callable[..., None]:
    """Remove a directory in a thread; return a function that waits for its end, for as many seconds as it is given."""
    thread = threading.Thread(target=remove, args=(path, children), name="remove", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the host has no thread for us: the caller has to wait
        remove(path, children)
        return lambda *_: None
    return thread.join


def remove(path: Path, children: Children) -> None:
    """Remove a directory with everything in it. One that cannot be removed is left, and logged as `workspace_left`.

    Never raises.
    """
    # A job can make directories unreadable, nest them deeper than Python's recursion goes, and give them paths longer
    # than the kernel accepts. `rm` handles all of that, but costs two processes, so it is only the second choice.
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        _remove_by_force(path, children)


def _remove_by_force(path: Path, children: Children) -> None:
    reason = ""
    for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        try:
            process = children.start([*command, "--", str(path)], stdout=DEVNULL, stderr=PIPE)
        except OSError as error:
            reason = str(error)
            continue
        with process.stderr as messages:  # type: ignore[union-attr]  # stderr is a pipe
            reason = messages.read(500).decode(errors="replace")
            while messages.read(CHUNK_BYTES):  # a full pipe would block rm, which may have a line for every file
                continue
        children.wait(process)
    if path.exists():
        logs.logger().error("workspace_left", path=str(path), reason=reason)
