"""The processes below this one: found in /proc and killed, until there are none."""

from __future__ import annotations

import os
import resource
import signal
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


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
    at runs dry.
    """
    reaped = Reaped()
    while doomed := [child for child in children_of(os.getpid()) if child not in spare]:
        for child in doomed:
            _kill_with_descendants(child)
        for child in doomed:
            reaped.add(os.wait4(child, 0)[2])
    return reaped


def descendants_of(pid: int) -> list[int]:
    """Return all below a process, the deepest first."""
    found: list[int] = []
    waiting = deque(children_of(pid))
    while waiting:
        found.append(waiting.popleft())
        waiting += children_of(found[-1])
    return found[::-1]


def children_of(pid: int) -> list[int]:
    """Return the children of every thread of a process, none when it is gone."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _kill_with_descendants(pid: int) -> None:
    """Kill a process, then those below it: a parent that outlived its children could start others in their place."""
    waiting = deque([pid])
    while waiting:
        doomed = waiting.popleft()
        waiting += children_of(doomed)
        with suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGKILL)
