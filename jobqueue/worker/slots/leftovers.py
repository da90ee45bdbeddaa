"""Removes what a killed worker left behind on this host: its directories, and the processes that still run in them.

When only the worker was killed, its supervisors end their programs, and the directories are all that is left. When they
were killed at the same time, their programs may still run.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from jobqueue import logs
from jobqueue.worker.host.locked_directory import LockedDirectory
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.workspace import PREFIX, remove

ROUNDS = 100
"""The most rounds in which new processes are killed."""

EXEC_POLLS = 100
EXEC_POLL_SECONDS = 0.01
"""Poll interval for the end of an exec, which the kernel reports to nobody, and how often to poll."""


def remove_leftovers(parent: Path, children: Children) -> None:
    """Remove the directories that killed workers left in `parent`, and kill the processes that belong to them.

    Raises OSError when `parent` cannot be read.
    """
    # The working directories of processes are shown by their real paths.
    for abandoned in LockedDirectory.abandoned(Path(os.path.realpath(parent)), PREFIX):
        killed = kill_processes_in(abandoned.path)
        remove(abandoned.path, children)
        abandoned.close()
        logs.logger().warning("abandoned_workspaces_swept", path=str(abandoned.path), processes_killed=killed)


def kill_processes_in(directory: Path) -> int:
    """Kill every process that works in a directory or has a variable that points into it; return their number."""
    # A process may start another one while we read /proc, which then appears behind the point that we have reached. So
    # a round that finds nothing new ends the search, not the first round. If a program starts processes faster than we
    # kill them, we give up in the end, because this worker has to start.
    killed: set[int] = set()
    for _ in range(ROUNDS):
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        matches = {pid for pid in pids if pid != os.getpid() and _belongs_to(Path(f"/proc/{pid}"), directory)}
        if matches <= killed:
            break
        killed |= matches
        for pid in matches:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return len(killed)


def _belongs_to(process: Path, directory: Path) -> bool:
    """Whether a process works in a directory, or has a variable that points into it, as HOME of every program does."""
    with suppress(OSError):
        if f"{os.readlink(process / 'cwd')}/".startswith(f"{directory}/"):
            return True
        # OLDPWD is where a shell was before. It is inherited by everything that the shell starts, the next worker too.
        variables = [each for each in _environment(process).split(b"\0") if not each.startswith(b"OLDPWD=")]
        return any(f"={directory}/".encode() in each for each in variables)
    return False


def _environment(process: Path) -> bytes:
    """Return a process's environment. Raises OSError when the process is gone or may not be read."""
    # An exec discards the old environment before it brings the new one, and /proc shows nothing in between. A program
    # that calls exec in a loop is found in that state once in twenty-five times; it must not survive because of that.
    for _ in range(EXEC_POLLS):
        environment = (process / "environ").read_bytes()
        if environment or not in_exec(process):
            return environment
        time.sleep(EXEC_POLL_SECONDS)
    return b""


def in_exec(process: Path) -> bool:
    """Whether a process, whose environment we have just found empty, is or was in the middle of an exec."""
    # Fields 50 and 51 of proc_pid_stat(5) say where the environment begins and ends. They are equal where it is really
    # empty. The end is 0 during an exec, but also for the kernel's own threads and for zombies: those have no exe.
    begin, end = (process / "stat").read_bytes().rpartition(b")")[2].split()[47:49]
    if end != b"0":
        return begin != end
    os.readlink(process / "exe")
    return True
