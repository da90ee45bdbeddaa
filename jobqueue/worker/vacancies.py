"""How many jobs the worker may claim: one for each free slot and, while jobs are short, some ahead."""

from __future__ import annotations

import math
import threading
from collections import deque
from statistics import median

from jobqueue.worker.breaker import Breaker

SHORT_SECONDS = 0.2
"""Jobs are short when half of the recent ones took less. Then one that waits for a slot does not wait long."""

AHEAD_SECONDS = 0.1
"""How much work is claimed ahead where that is more than a job for each slot: as much as is done while reports gather
and a claim is under way, and twice as much in case that takes longer.
"""

MAX_JOBS = 32
"""The most jobs that one claim asks for. Each may have a mebibyte of arguments and variables, or several as JSON."""

RECENT_JOBS = 20
FEWEST_JOBS = 3
"""How many recent jobs say whether jobs are short, and how few are too few to say so."""


class Prefetch:
    """How many jobs to claim ahead of free slots. `fixed` is the setting, None for as many as the recent jobs suggest:
    as many as there are slots while jobs are short, more while they take a few milliseconds, none when they are long.
    After one has waited too long, none until the next job has ended.
    """

    def __init__(self, slots: int, fixed: int | None = None) -> None:
        self._slots = slots
        self._fixed = fixed
        self._recent: deque[float] = deque(maxlen=RECENT_JOBS)
        self._count = fixed or 0

    @property
    def count(self) -> int:
        """How many jobs to claim ahead now."""
        return self._count

    def note(self, seconds: float) -> None:
        """Note for how long a job has occupied its slot."""
        self._recent.append(seconds)
        if self._fixed is not None:
            self._count = self._fixed
        elif len(self._recent) >= FEWEST_JOBS:
            usual = median(self._recent)
            enough = math.ceil(self._slots * AHEAD_SECONDS / max(usual, 0.001))
            self._count = max(self._slots, enough) if usual < SHORT_SECONDS else 0

    def forget(self) -> None:
        """Forget the recent jobs: they have led to claims that came too early.

        A number that is fixed must not bring the same jobs back at once either: other workers may have a slot for them.
        """
        self._recent.clear()
        self._count = 0


class Vacancies:
    """The places for jobs of a worker. Any thread may use it.

    A place is taken from when a claim asks for a job until the report about the job is on its way: that request claims
    the next job, so the loop does not have to. With `max_jobs` no more than that many are claimed in all.
    """

    def __init__(self, slots: int, breaker: Breaker, prefetch: Prefetch, max_jobs: int | None = None) -> None:
        self._slots = slots
        self._breaker = breaker
        self._prefetch = prefetch
        self._left: float = math.inf if max_jobs is None else max_jobs
        self._in_hand = self._asked = 0
        self._waits = self._closed = False
        self._changed = threading.Condition()

    @property
    def pause_seconds(self) -> float:
        """For how long no job may be claimed because of host faults."""
        return self._breaker.seconds_left()

    @property
    def all_claimed(self) -> bool:
        """Whether there are as many jobs as the worker is to run."""
        return self._left <= 0

    def note_run(self, seconds: float) -> None:
        """Note for how long a job has occupied its slot."""
        self._prefetch.note(seconds)

    def note_long_wait(self) -> None:
        """Note that a job that was claimed ahead has found no slot in time."""
        self._prefetch.forget()

    def wait_for_one(self, seconds: float) -> bool:
        """Wait up to `seconds` until a job may be claimed for a free slot; return whether one may."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free_slots() > 0, seconds)

    def reserve(self) -> int:
        """Return for how many jobs to claim, and reserve places for them until `settle`: none unless a slot is free.

        The claim may wait until there are jobs. Meanwhile the queue is as good as empty, and nothing is claimed ahead
        by others. A worker that is idle claims nothing ahead either: other workers may be idle, too.
        """
        with self._changed:
            is_busy = self._in_hand > 0 and not self._breaker.tripped
            count = min(self._free_slots(), MAX_JOBS)
            if count and is_busy:
                count = min(self._free_slots(self._prefetch.count), MAX_JOBS)
            self._asked += count
            self._waits = count > 0
            return count

    def free_and_reserve(self, count: int) -> int:
        """Free the places of so many jobs that are reported. Return how many jobs to claim along with the reports, and
        reserve places for them until `settle`.
        """
        with self._changed:
            self._in_hand -= count
            ahead = 0 if self._waits or self._breaker.tripped else self._prefetch.count
            wanted = min(self._free_slots(ahead), MAX_JOBS)
            self._asked += wanted
            self._changed.notify_all()
            return wanted

    def free(self, count: int) -> None:
        """Free the places of so many jobs."""
        with self._changed:
            self._in_hand -= count
            self._changed.notify_all()

    def settle(self, asked: int, received: int) -> None:
        """Note that a claim for so many jobs was answered with that many."""
        with self._changed:
            self._asked -= asked
            self._in_hand += received
            self._left -= received
            self._changed.notify_all()

    def stop_waiting(self) -> None:
        """Note that no claim waits for jobs any more."""
        self._waits = False

    def close(self) -> None:
        """Reserve no place from now on."""
        with self._changed:
            self._closed = True

    def _free_slots(self, ahead: int = 0) -> int:
        """Return how many jobs may be claimed, with so many ahead.

        A worker whose host is suspected claims one at a time, once all its slots are free: one job is enough to see
        whether the host has recovered.
        """
        if self._closed or self._breaker.seconds_left() > 0:
            return 0
        taken = self._in_hand + self._asked
        places = 1 if self._breaker.suspects_host else self._slots + ahead
        return int(max(min(places - taken, self._left - self._asked), 0))
