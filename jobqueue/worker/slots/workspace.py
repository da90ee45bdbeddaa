"""The directories of one attempt: where its program lies and where it runs. They are removed when the attempt ends.

All workspaces of a worker lie in one directory, which the worker keeps locked. A directory of this kind that nobody has
locked was left by a killed worker; `leftovers` removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
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
        self._ready: dict[int | None, list[Workspace]] = {}

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
            path = self._own.path / f"{name}-{secrets.token_hex(8)}"
            ready = self._ready.get(isolation.uid)
            used = ready.pop() if ready else None
        if used is not None:
            with suppress(OSError):  # a job has removed it since
                return Workspace(path, isolation, self, program_name, used)
        return Workspace(path, isolation, self, program_name)

    def keep(self, workspace: Workspace) -> None:
        """Use the directories of a workspace, which are as they were made, for another one."""
        with self._lock:
            self._ready.setdefault(workspace.uid, []).append(workspace)

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

    def __init__(
        self, path: Path, isolation: Isolation, owner: Workspaces, program_name: str, used: Workspace | None = None
    ) -> None:
        """Make the directories or take those of a workspace that was kept. Raises OSError."""
        self.uid = isolation.uid
        self._owner = owner
        self._root = path
        self.program = path / program_name
        self.directory = path / WORK
        self._as_made: object
        if used is not None:
            os.rename(used._root, path)
            self._as_made = used._as_made
            return
        os.mkdir(path, ALL_MAY_PASS)
        try:
            os.chmod(path, ALL_MAY_PASS)  # whatever the umask is
            os.mkdir(self.directory, 0o700)
            if self.uid is not None:
                os.chown(self.directory, self.uid, self.uid)
            self._as_made = self._state()
        except OSError:
            remove(path, owner.children)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        remove(self._root, self._owner.children)

    def remove_within(self, seconds: float) -> Callable[[], None]:
        """Remove what the job has left. After that time, return; the removal goes on in a thread.

        Returns a function that waits for the end of the removal.
        """
        # Most programs leave nothing behind. Their directories are used again: to remove one takes a lock that the
        # whole file system shares and, while its journal is written, some milliseconds.
        try:
            self.program.unlink(missing_ok=True)
            if self._state() == self._as_made:
                self._owner.keep(self)
            else:
                os.rmdir(self.directory)
                os.rmdir(self._root)
        except OSError:
            wait = _begin_to_remove(self._root, self._owner.children)
            wait(seconds)
            return wait
        return lambda: None

    def _state(self) -> object:
        """Return all that a job can leave in the two directories, and when the inner one was changed last."""
        changed_at = os.stat(self.directory).st_ctime_ns
        return changed_at, [_attributes(path) for path in (self._root, self.directory)]


def _attributes(path: Path) -> object:
    """Return what is in a directory, who may use it, and the names of its extended attributes. Raises OSError."""
    info = os.stat(path)
    return os.listdir(path), info.st_mode, info.st_uid, info.st_gid, os.listxattr(path)


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


def _start_in(directory: Path | None, command: Sequence[str], children: Children) -> subprocess.Popen[bytes]:
    """Start a command, in a directory that is no link if one is given. Raises OSError."""
    with ExitStack() as stack:
        place = None
        if directory is not None:
            descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            place = f"/proc/self/fd/{descriptor}"
            os.chmod(place, 0o700)
        return children.start(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _remove_by_force(path: Path, children: Children) -> None:
    reason = ""
    # `chmod` follows a link that it is given by name, and a job may have put one into the place of its directory. So it
    # is started in the directory itself, if that is one. `rm` follows none.
    for command, place in ((["chmod", "-R", "u+rwx", "."], path), (["rm", "-rf", "--", str(path)], None)):
        try:
            process = _start_in(place, command, children)
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
