"""Bubblewrap: a program behind a wall, in namespaces of its own, and what has to be known about who stands before it.

`bwrap` (the process that was started) waits for the first process of the namespace, which it made and which looks
after orphans there; that one's child is the program. Both ignore or die of what is meant for the program, so signals go
past them. bwrap tells a death by signal n as a shell does, by exit code 128 + n.
"""

from __future__ import annotations

import os
import shutil
import signal
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from jobqueue.worker.host.process_tree import children_of, descendants_of
from jobqueue.worker.isolation import system_paths

NAMESPACES = ("user", "pid", "ipc", "uts", "cgroup-try")
"""All but the network's."""

OF_THE_KERNEL = ("sys", "irq", "bus", "fs", "acpi", "scsi", "driver", "pressure")
"""What lets the kernel be set up in /proc. A job of root's needs no capability to write most of it, and bwrap closes it
only where the directories, too, may be written.
"""

SIGNALLED = 128

MAX_WORDS = 9000
"""How many bwrap takes, the program's own included (MAX_ARGS in its bubblewrap.c)."""


def find() -> str | None:
    """Return where bwrap lies: on the PATH, or beside this Python, where its wheel puts it."""
    scripts = sysconfig.get_path("scripts")
    return shutil.which("bwrap") or shutil.which("bwrap", path=scripts)


def options(program: str, directory: str, hidden: Sequence[str]) -> list[str]:
    """Return what bwrap is told: the system to be read, a directory to be written, all else not there."""
    return [
        *(f"--unshare-{namespace}" for namespace in NAMESPACES),
        *("--die-with-parent", "--cap-drop", "ALL"),
        *_system(hidden),
        *("--ro-bind-try", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev"),
        *(word for name in OF_THE_KERNEL for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
        *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp"),  # noqa: S108  # empty ones, for the job alone
        *(word for path in _shown_in_temporary(hidden) for word in ("--ro-bind", path, path)),
        *("--bind", directory, directory, "--ro-bind", program, program, "--chdir", directory),
    ]


def _shown_in_temporary(hidden: Sequence[str]) -> list[str]:
    """Return what is shown (a Python, say) and would lie below the empty directories for temporary files."""
    temporary = ("/tmp", "/var/tmp")  # noqa: S108  # as above
    return [path for path in system_paths.roots(hidden) if any(system_paths.lies_in(path, each) for each in temporary)]


def _system(hidden: Sequence[str]) -> Iterator[str]:
    shown = system_paths.roots(hidden)
    for path in shown:
        if os.path.islink(path) and any(system_paths.lies_in(os.path.realpath(path), root) for root in shown):
            yield from ("--symlink", os.readlink(path), path)
        else:
            yield from ("--ro-bind", path, path)
    for path in map(os.path.realpath, hidden):
        if os.path.isdir(path) and any(system_paths.lies_in(path, os.path.realpath(root)) for root in shown):
            yield from ("--tmpfs", path)


def write_down(environment: Mapping[str, str]) -> int:
    """Return a file, to be closed, in which bwrap reads what the environment behind the wall is: on its command line
    others could. Raises ValueError.
    """
    words = [word for name, value in environment.items() for word in ("--setenv", name, value)]
    told = os.memfd_create("environment", os.MFD_CLOEXEC)
    try:
        with open(told, "wb", closefd=False) as file:
            file.write(b"".join(os.fsencode(word) + b"\0" for word in words))
        os.lseek(told, 0, os.SEEK_SET)
    except BaseException:
        os.close(told)
        raise
    return told


def behind(leader: int) -> list[int]:
    """Return the processes behind the wall that are in the program's process group; all of them, if it has left that.

    None while bwrap is still building: then a signal to bwrap itself ends what has not begun.
    """
    inside = [pid for first in children_of(leader) for pid in descendants_of(first)]
    return [pid for pid in inside if _group_of(pid) == leader] or inside


def _group_of(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def unwrapped(status: int) -> int:
    """Return how the program ended (-n: by signal n), given how bwrap did."""
    number = status - SIGNALLED
    return -number if number in signal.valid_signals() else status
