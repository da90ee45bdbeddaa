"""What the processes of a server count together.

gunicorn's master calls `prepare` before it starts the first process, and `choose_region` before each. Its children
inherit the memory. A process that replaces another one gets its region and counts on from there. So counts
never go back, and the memory does not grow, however often processes are replaced.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Any

from jobqueue.web.metrics.saved import SavedCounts
from jobqueue.web.metrics.shared_memory import Region, regions

METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
REGIONS = 81
"""One for what was counted before the server started, 64 for WEB_CONCURRENCY at its most, the rest for processes that
still end while their successors start.
"""

REGION_BYTES = 1024 * 1024
"""Enough for 380 kinds of requests: there are fewer combinations of route, method and status."""


class Counts:
    """The counts of all processes, and the region of this one."""

    def __init__(self, saved: SavedCounts | None) -> None:
        self._earlier, *self._regions = regions(REGIONS, REGION_BYTES)
        self._own = self._regions[0]
        self._saved = saved
        for name, number in (saved.load() if saved else {}).items():
            self._earlier.add(name, number)

    @property
    def free(self) -> int:
        """How many processes can have a region of their own."""
        return len(self._regions)

    def use_region(self, number: int | None) -> None:
        """Count in this region from now on; None for one that other processes do not see."""
        region = Region(memoryview(bytearray(REGION_BYTES))) if number is None else self._regions[number]
        self._own = region.reopened()  # without what this process knows of it from before it was forked

    def add(self, name: str, amount: float) -> None:
        """Add to a count of this process."""
        self._own.add(name, amount)

    def get(self, name: str) -> float:
        """Return a count of this process."""
        return self._own.get(name)

    def total(self) -> dict[str, float]:
        """Return the counts of all processes together, with what was counted before the server started."""
        sums: Counter[str] = Counter()
        for region in (self._earlier, *self._regions):
            for name, number in region.items():
                sums[name] += number  # type: ignore[assignment]  # a Counter adds fractions, too
        return dict(sums)

    def save(self) -> None:
        """Write the total to the directory of PROMETHEUS_MULTIPROC_DIR, if there is one. An error is logged."""
        if self._saved:
            self._saved.save(self.total())


class _Inherited:
    """What a process can only find in this module, because gunicorn starts the app without arguments."""

    counts: Counts | None = None


def prepare(directory: str) -> None:
    """Make the memory that this process's children inherit, unless it exists.

    `directory` is the value of METRICS_DIR, which may be empty. Ends the process with a sentence if it cannot be made.
    """
    try:
        if directory:
            os.makedirs(directory, exist_ok=True)
    except OSError as error:
        sys.exit(f"{METRICS_DIR} is {directory!r}, but no directory can be made there: {error.strerror}.")
    if _Inherited.counts is None:
        _Inherited.counts = Counts(SavedCounts(directory) if directory else None)


def shared_counts() -> Counts | None:
    """Return what this process inherited, or None if no master prepared it: then it counts for itself."""
    return _Inherited.counts


def choose_region(server: Any, worker: Any) -> None:
    """Choose the region of a process that gunicorn's master is about to start."""
    if _Inherited.counts is None:
        return
    used = {getattr(other, "metrics_region", None) for other in server.WORKERS.values()}
    worker.metrics_region = next((number for number in range(_Inherited.counts.free) if number not in used), None)
    _Inherited.counts.use_region(worker.metrics_region)


def save_counts(_server: Any = None) -> None:
    """Keep the counts for the next start of the server. gunicorn's master calls this when it ends, and each scrape."""
    if _Inherited.counts is not None:
        _Inherited.counts.save()
