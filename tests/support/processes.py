"""Processes by their ids: what /proc says about them, signals to them, and waits for their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.support.waiting import wait_until


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie does not."""
    return state(pid) not in ("Z", "X", "")


def state(pid: int) -> str:
    """Return the letter of a process's state (T: stopped), "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """Return a process's children, including zombies."""
    pids: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids += map(int, task.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pids


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with."""
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held at a time."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def file_descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process, as a platform does that stops a machine, except those that have ended by then.

    The first ones may take others along before it is their turn: a shell ends with its child, a supervisor with its
    worker. All are opened before the first is signalled, so that an id that is used again meanwhile cannot be hit.
    """
    with ExitStack() as stack:
        opened = []
        for pid in pids:
            with suppress(ProcessLookupError):
                opened.append(os.pidfd_open(pid))
                stack.callback(os.close, opened[-1])
        for pidfd in opened:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)


def wait_for_pids(path: Path, count: int) -> list[int]:
    """Return the process ids that a program writes into a file, one on each line, as soon as there are that many."""

    def lines() -> list[str]:
        return path.read_text().split("\n")[:-1] if path.exists() else []

    wait_until(f"{count} process ids in {path.name}", lambda: len(lines()) >= count)
    return [int(line) for line in lines()]


def wait_until_gone(pids: list[int], seconds: float = 5) -> None:
    """Return as soon as none of the processes is alive."""
    try:
        wait_until("the processes are gone", lambda: not any(map(alive, pids)), seconds)
    except AssertionError:
        left = {pid: state(pid) for pid in pids}
        raise AssertionError(f"after {seconds} s there are processes left, in these states: {left}") from None
