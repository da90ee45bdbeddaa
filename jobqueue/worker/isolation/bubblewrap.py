"""Bubblewrap: a program behind a wall, in namespaces of its own, and what has to be known about who stands before it.

`bwrap` (the process that was started) waits for the first process of the namespace, which it made and which looks
after orphans there; that one's child is the program. Both ignore or die of what is meant for the program, so signals go
past them. bwrap tells a death by signal n as a shell does, by exit code 128 + n.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import signal
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from jobqueue.worker.host.process_tree import children_of, descendants_of
from jobqueue.worker.isolation import executable, shebang, system_paths

NAMESPACES = ("user", "pid", "ipc", "uts", "cgroup-try")
"""All but the network's."""

OF_THE_KERNEL = ("sys", "irq", "bus", "fs", "acpi", "scsi", "driver", "pressure")
"""What lets the kernel be set up in /proc. A job of root's needs no capability to write most of it, and bwrap closes it
only where the directories, too, may be written.
"""

SIGNALLED = 128

MOST_WORDS = 9000
"""How many bwrap takes, the program's own included (MAX_ARGS in its bubblewrap.c)."""

MOST_BYTES = 6 * 1024**2
LONGEST_WORD = 128 * 1024
POINTER_BYTES = 8
ROOM_BYTES = 8192
"""What execve(2) takes: three quarters of the stack's 8 MiB, or a quarter of the stack if that is less; a word with the
zero behind it; a pointer for each; and some room for what the kernel and bwrap add.
"""


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


def refuse_too_much(wall: Sequence[str], words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise the OSError that starting a program would raise that gets too much: from behind the wall it would look like
    the program's own exit code 1. Raises ValueError when it cannot be encoded.
    """
    sizes = [len(os.fsencode(word)) + 1 for word in (*words, *map("=".join, environment.items()))]
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    most_bytes = MOST_BYTES if stack == resource.RLIM_INFINITY else min(MOST_BYTES, stack // 4)
    if (
        len(wall) + len(words) + 3 * len(environment) + 8 > MOST_WORDS
        or max(sizes) > LONGEST_WORD
        or sum(sizes) + len(sizes) * POINTER_BYTES + ROOM_BYTES > most_bytes
    ):
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), words[0])


def refuse_what_cannot_start(program: str) -> None:
    """Raise the OSError that starting a program would raise: from behind the wall it would look like the program's own
    exit code 1, and what is no program at all would be run by a shell.
    """
    with open(program, "rb") as file:
        _refuse_busy(file.fileno(), program)
        starter = shebang.interpreter(file)
        if starter is None:
            starter = executable.loader(file) if executable.can_start(file) else ""
    if starter is not None:
        _refuse_unless_startable(starter, program)


def _refuse_unless_startable(starter: str, program: str) -> None:
    """Raise the OSError that starting a program raises whose interpreter or loader is this one, "" for none at all."""
    number = 0
    if not starter:
        number = errno.ENOEXEC
    elif not os.path.exists(starter):
        number = errno.ENOENT
    elif not os.path.isfile(starter) or not os.access(starter, os.X_OK):
        number = errno.EACCES
    if number:
        raise OSError(number, os.strerror(number), program)


def _refuse_busy(descriptor: int, program: str) -> None:
    """Raise OSError when somebody has the file open for writing: a lease on it is refused for just that reason."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise OSError(errno.ETXTBSY, os.strerror(errno.ETXTBSY), program) from None
    except OSError:
        return  # no leases on this file system: nothing is known
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


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
