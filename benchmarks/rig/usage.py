"""CPU time and memory of processes, from /proc."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STARTED, USER, CHILDREN_SYSTEM = 19, 11, 14
"""Where /proc/<pid>/stat has these fields behind the name of the process."""

SAMPLE_SECONDS = 0.2


def family(pid: int) -> dict[int, str]:
    """Return the process ids of a process and of its descendants, each with the moment at which it started."""
    found: dict[int, str] = {}
    pending = [pid]
    while pending:
        each = pending.pop()
        with suppress(OSError, IndexError):
            found[each] = _stat(each)[STARTED]
            pending.extend(_children(each))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, of its descendants, and of all those that it or they have waited for."""
    return sum(_own_cpu_seconds(each) for each in family(pid))


def memory_kb(pid: int) -> int:
    """Return the memory of a process: its proportional share (PSS) if this user may see it, else what is resident."""
    with suppress(OSError, StopIteration):
        return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
    return status_kb(pid, "VmRSS:")


def status_kb(pid: int, name: str) -> int:
    """Return a number of kilobytes from /proc/<pid>/status; 0 if the process has ended."""
    with suppress(OSError, StopIteration):
        return _field(Path(f"/proc/{pid}/status"), name)
    return 0


@dataclass
class Peak:
    """The highest memory that was seen, of some processes together and of each."""

    together_kb: int = 0
    each_kb: dict[int, int] = field(default_factory=dict)

    def look(self, pids: Iterable[int]) -> None:
        """Look once."""
        now = {pid: memory_kb(pid) for pid in pids}
        self.together_kb = max(self.together_kb, sum(now.values()))
        for pid, kilobytes in now.items():
            self.each_kb[pid] = max(self.each_kb.get(pid, 0), kilobytes)


@contextmanager
def watching_memory(pids: Sequence[int]) -> Iterator[Peak]:
    """Look at the memory of processes several times a second, in a thread."""
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak.look(pids)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
        peak.look(pids)


def _own_cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        return sum(map(int, _stat(pid)[USER : CHILDREN_SYSTEM + 1])) / TICKS_PER_SECOND
    return 0.0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    # A child belongs to the thread that has started it.
    texts = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for text in texts for child in text.split()]


def _field(path: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))
