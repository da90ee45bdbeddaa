"""The processes below this one: found in /proc and killed, until there are none."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

DYING_SECONDS = 2.0
TRACED_PAUSE_SECONDS = 0.005


@dataclass
class Reaped:
    """What the processes had used that were waited for: the most memory that any of them held at a time."""

    peak_memory_bytes: int = 0

    def add(self, usage: resource.struct_rusage) -> None:
        """Count one of them (with all that it had waited for itself)."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.ru_maxrss * 1024)


def kill_children(spare: Collection[int] = frozenset()) -> Reaped:
    """Kill every child of this process but those to spare, all that descends from each, and whatever orphans come up.

    A round kills all that can be seen, each as soon as it is, so that what starts processes faster than they are looked
    at runs dry. What cannot be waited for, because somebody traces it or the kernel does not let go of it, is left.
    """
    reaped = Reaped()
    spared = set(spare)
    while doomed := [child for child in children_of(os.getpid()) if child not in spared]:
        for child in doomed:
            _kill_with_descendants(child)
        spared |= _reap(doomed, reaped)
    return reaped


def _reap(doomed: Iterable[int], reaped: Reaped) -> set[int]:
    """Wait for killed children; return those that are left after a time that is long for a process to die in."""
    give_up_at = time.monotonic() + DYING_SECONDS
    left = set(doomed)
    while left:
        for child in list(left):
            _await_death(child, give_up_at)
            pid, _, usage = os.wait4(child, os.WNOHANG)
            if pid:
                reaped.add(usage)
                left.remove(child)
        if time.monotonic() > give_up_at:
            break
        if left:
            time.sleep(TRACED_PAUSE_SECONDS)  # dead, and still its tracer's: no event tells when it lets go
    return left


def _await_death(child: int, give_up_at: float) -> None:
    fd = os.pidfd_open(child)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(max(give_up_at - time.monotonic(), 0) * 1000)
    finally:
        os.close(fd)


def descendants_of(pid: int) -> list[int]:
    """Return all below a process, the deepest first."""
    found: list[int] = []
    waiting = deque(children_of(pid))
    while waiting:
        found.append(waiting.popleft())
        waiting += children_of(found[-1])
    return found[::-1]


def children_of(pid: int) -> list[int]:
    """Return the children of every thread of a process; none when it is gone or hidden from us (`hidepid`, proc(5))."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    return found


def _kill_with_descendants(pid: int) -> None:
    """Kill a process, then those below it: a parent that outlived its children could start others in their place."""
    waiting = deque([pid])
    while waiting:
        doomed = waiting.popleft()
        waiting += children_of(doomed)
        with suppress(OSError):
            os.kill(doomed, signal.SIGKILL)
