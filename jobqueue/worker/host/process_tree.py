"""Finds the processes below this one in /proc, and kills them until none is left."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from jobqueue.settings import InvalidSetting

DYING_SECONDS = 2.0
"""Longest time to wait for killed processes to die; a process usually takes milliseconds."""

WITHOUT_PROC = (
    "The worker needs it to find and end the processes that jobs have started; mount a proc file system there."
)

WALL = 0x40000000
"""__WALL of wait(2): all children, also those whose end sends another signal than SIGCHLD."""

TRACED_PAUSE_SECONDS = 0.005
"""Poll interval for a dead process that its tracer has not let go, and for a dying one on a host without pidfds."""


def require_proc(proc: str = "/proc") -> None:
    """Raise InvalidSetting unless the file system at `proc` shows the children of this process."""
    try:
        number = os.readlink(f"{proc}/self")
        os.stat(f"{proc}/{number}/task/{number}/children")
    except OSError as error:
        problem = f"{proc} is not mounted, or the kernel does not list the children of processes in it"
        raise InvalidSetting(f"{problem} ({error.strerror}). {WITHOUT_PROC}") from error
    # A /proc of another namespace of processes (`unshare --pid` without `--mount-proc`) has other processes under the
    # numbers that we would kill.
    if number != str(os.getpid()):
        raise InvalidSetting(f"{proc} shows the processes of another namespace. {WITHOUT_PROC}")


def kill_children(spare: Collection[int] = frozenset()) -> int:
    """Kill every child of this process except those to spare, everything below it, and the orphans that come to this
    process meanwhile. A process that cannot be reaped, because it is traced or the kernel is stuck in it, is left.

    Returns the most memory, in bytes, that any one of the killed processes held, or a process that it had reaped.
    """
    # The orphans of a killed process become our children (see hardening.adopt_orphans), so whatever a round misses
    # because it was forked meanwhile is found by the next one. This ends: a round kills each process as soon as it is
    # seen, its children after it, so a program that starts processes runs out of ones that can.
    peak_memory_bytes = 0
    spared = set(spare)
    while doomed := [child for child in children_of(os.getpid()) if child not in spared]:
        for child in doomed:
            _kill_with_descendants(child)
        reaped = _reap(doomed)
        peak_memory_bytes = max([peak_memory_bytes, *reaped.values()])
        # What could not be reaped would be found again in every round, so it is spared from now on.
        spared |= set(doomed) - reaped.keys()
    return peak_memory_bytes


def has_children() -> bool:
    """Whether this process has children, dead ones included, or ones that somebody traces."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | WALL)
    except ChildProcessError:
        return False
    return True


def reap_all() -> int:
    """Reap every child of this process that has ended, and kill nobody. For a process that waits for none of them.

    Returns the most memory, in bytes, that any one of them held.
    """
    peak_memory_bytes = 0
    with suppress(ChildProcessError):
        while True:
            pid, _, usage = os.wait4(-1, os.WNOHANG | WALL)
            if not pid:
                break
            peak_memory_bytes = max(peak_memory_bytes, usage.ru_maxrss * 1024)
    return peak_memory_bytes


def reap_ended(spare: Collection[int]) -> int:
    """Reap every child of this process that has ended, except those to spare, and kill nobody.

    Returns the most memory, in bytes, that any one of them held.
    """
    peak_memory_bytes = 0
    # To list the children takes a file for each thread, which an idle worker would read every second for nothing.
    for child in children_of(os.getpid()) if _has_ended_children() else ():
        if child in spare:
            continue
        with suppress(ChildProcessError):
            _, _, usage = os.wait4(child, os.WNOHANG)
            peak_memory_bytes = max(peak_memory_bytes, usage.ru_maxrss * 1024)
    return peak_memory_bytes


def _has_ended_children() -> bool:
    """Whether a child has ended that nobody has waited for yet."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def descendants_of(pid: int) -> list[int]:
    """Return all processes below a process, the deepest first."""
    return [*_tree(pid)][:0:-1]


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process; none when it is gone, or hidden from us (`hidepid`, proc(5))."""
    children: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                children += map(int, file.read().split())
    return children


def _kill_with_descendants(pid: int) -> None:
    """Kill a process, then everything below it."""
    # From the top down: a parent that outlived its children could start others in their place. A process's children are
    # read before it is killed, because its death gives them another parent. Those that it forks in between become ours,
    # and the next round finds them. A process may have died, and the kernel may have given its number to another, since
    # the number was read. That would take the death, its parent's wait and 32,000 forks within microseconds.
    for doomed in _tree(pid):
        with suppress(OSError):
            os.kill(doomed, signal.SIGKILL)


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and everything below it, parents before their children.

    The children of a process are read just before it is yielded, not all in advance.
    """
    waiting = deque([pid])
    while waiting:
        process = waiting.popleft()
        waiting += children_of(process)
        yield process


def _reap(doomed: Iterable[int]) -> dict[int, int]:
    """Reap killed children. Return those that could be reaped within DYING_SECONDS, and how many bytes each held."""
    peaks: dict[int, int] = {}
    left = set(doomed)
    give_up_at = time.monotonic() + DYING_SECONDS
    while left and time.monotonic() <= give_up_at:
        for child in list(left):
            _await_death(child, give_up_at)
            # A traced process cannot be reaped although it is dead, until its tracer has done so. A blocking wait
            # would last as long as the tracer likes, so we do not block.
            pid, _, usage = os.wait4(child, os.WNOHANG)
            if pid:
                peaks[child] = usage.ru_maxrss * 1024
                left.remove(child)
        if left:
            time.sleep(TRACED_PAUSE_SECONDS)  # no event tells when a tracer lets go, or a host without pidfds
    return peaks


def _await_death(child: int, give_up_at: float) -> None:
    """Wait for a child to die, without reaping it; not at all where that is not possible."""
    # Some sandboxes refuse the call, and a host may be out of descriptors. Then the caller polls.
    try:
        fd = os.pidfd_open(child)
    except OSError:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(max(give_up_at - time.monotonic(), 0) * 1000)
    finally:
        os.close(fd)
