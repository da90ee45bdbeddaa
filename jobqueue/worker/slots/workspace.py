"""A directory for one attempt: where its program lies and where it runs, gone when it ends whatever it left there.

All workspaces of a worker lie in one directory that is locked while it lives. What a worker that was killed has left,
directories and processes, the next one on the host removes at its start.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from jobqueue import logs
from jobqueue.worker.host.locked_directory import LockedDirectory
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.children import Family

PREFIX = "jobqueue-"
ALL_MAY_PASS = 0o711
"""The mode of what lies above a job's directory: another user's job may pass through, and look at nothing."""

CHUNK_BYTES = 64 * 1024

ROUNDS = 100
"""How often to look again for processes that were started while others were killed."""

STARTING_SECONDS = 0.01
"""Between two looks while there are processes that are just being started: nobody can tell yet where they live."""


class Workspaces:
    """The workspaces of one worker, in a directory of its own."""

    def __init__(self, family: Family, parent: Path) -> None:
        """Make the directory in `parent`. Raises OSError."""
        self.family = family
        self._parent = parent
        self._lock = threading.Lock()
        self._own = self._make()

    @property
    def path(self) -> Path:
        """The directory that they all lie in."""
        return self._own.path

    def create(self, name: str, isolation: Isolation) -> Workspace:
        """Return a new one for a job that is confined in this way. Raises OSError.

        When a job of the worker's own user has removed the directory, there is another one from now on.
        """
        with self._lock:
            if not self._own.path.exists():
                logs.logger().warning("workspaces_gone", path=str(self._own.path))
                gone, self._own = self._own, self._make()
                gone.close()
        return Workspace(self._own.path, name, isolation, self.family)

    def _make(self) -> LockedDirectory:
        own = LockedDirectory.create(self._parent, PREFIX)
        own.path.chmod(ALL_MAY_PASS)
        return own

    def close(self, within_seconds: float | None = None) -> None:
        """Remove the directory. What takes longer than that is left to the next worker on this host."""
        _begin_to_remove(self._own.path, self.family)(within_seconds)
        if self._own.path.exists():
            logs.logger().warning("workspaces_left", path=str(self._own.path))
        self._own.close()


class Workspace:
    """`program` is where the program's file goes, `directory` the empty one that the job is started in."""

    def __init__(self, parent: Path, name: str, isolation: Isolation, family: Family) -> None:
        self._family = family
        self._root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        self.program = self._root / "program"
        self.directory = self._root / "work"
        try:
            self._root.chmod(ALL_MAY_PASS)
            self.directory.mkdir(mode=0o700)
            if isolation.uid is not None:
                os.chown(self.directory, isolation.uid, isolation.uid)
        except OSError:
            remove(self._root, family)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove(self._root, self._family)

    def remove_within(self, seconds: float) -> Callable[[], None]:
        """Remove it, in a thread when there is much in it; return what waits for the rest, after that time at most."""
        try:
            self.program.unlink(missing_ok=True)
            self.directory.rmdir()
            self._root.rmdir()
        except OSError:
            wait = _begin_to_remove(self._root, self._family)
            wait(seconds)
            return wait
        return lambda: None


def _begin_to_remove(path: Path, family: Family) -> Callable[..., None]:
    """Remove a directory in a thread; return its `join`, or what does nothing when that was done at once."""
    thread = threading.Thread(target=remove, args=(path, family), name="remove", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # there are too many threads
        remove(path, family)
        return lambda *_: None
    return thread.join


def sweep(parent: Path, family: Family) -> None:
    """Remove what killed workers have left here, and kill what still runs there.

    Raises OSError when `parent` cannot be looked into.
    """
    for left in LockedDirectory.abandoned(parent, PREFIX):
        killed = kill_inhabitants(left.path)
        remove(left.path, family)
        left.close()
        logs.logger().warning("abandoned_workspaces_swept", path=str(left.path), processes_killed=killed)


def remove(path: Path, family: Family) -> None:
    """Remove a directory with all that is in it; what cannot go is logged and left. Never raises.

    What a job made unreadable, nested deeper than Python counts or named longer than a path may be, is left to the
    tools that were made for it.
    """
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        _remove_by_force(path, family)


def _remove_by_force(path: Path, family: Family) -> None:
    reason = ""
    for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        try:
            process = family.start(
                [*command, "--", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            reason = str(error)
            continue
        with process.stderr as said:  # type: ignore[union-attr]  # a pipe was asked for
            reason = said.read(500).decode(errors="replace")
            while said.read(CHUNK_BYTES):
                continue
        family.wait(process)
    if path.exists():
        logs.logger().error("workspace_left", path=str(path), reason=reason)


def kill_inhabitants(path: Path) -> int:
    """Kill every process that lives in a directory: that works there, or was started to. Return how many."""
    killed: set[int] = set()
    for _ in range(ROUNDS):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        told = {pid: _lives_in(Path(f"/proc/{pid}"), path) for pid in pids if pid != os.getpid()}
        found = {pid for pid, lives_there in told.items() if lives_there}
        if found <= killed:
            if None not in told.values():
                break
            time.sleep(STARTING_SECONDS)  # the kernel tells nobody when a process has been started
        killed |= found
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return len(killed)


def _lives_in(process: Path, path: Path) -> bool | None:
    """Whether a process lives there; None when it has not told yet."""
    with suppress(OSError):
        if f"{os.readlink(process / 'cwd')}/".startswith(f"{path}/"):
            return True
        variables = (process / "environ").read_bytes().split(b"\0")
        if any(f"={path}/".encode() in each for each in variables if not each.startswith(b"OLDPWD=")):
            return True
        if variables == [b""] and _is_starting(process):
            return None
    return False


def _is_starting(process: Path) -> bool:
    """Whether a process whose environment was empty has one that is not loaded yet, or was not then.

    An exec takes the old environment away before it brings the new one; fs/proc/base.c shows nothing meanwhile. The end
    of it, the 51st field in proc_pid_stat(5), is 0 then, as it is for the kernel's own threads and for zombies: those
    have no exe.
    """
    begin, end = (process / "stat").read_bytes().rpartition(b")")[2].split()[47:49]
    if end != b"0":
        return begin != end
    os.readlink(process / "exe")
    return True
