"""Pauses a worker whose attempts fail because of its host, so that it does not claim and release the whole queue."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from jobqueue import logs
from jobqueue.backoff import FIRST_PAUSE_SECONDS, growing_pause

FAULTS = 3
"""How many host faults in a row trip the breaker."""

MAX_REMEMBERED = 1000
"""How many jobs and subjects of a row are remembered."""


class Breaker:
    """Counts the host faults in a row: those since a program was last run here. Any thread may call it.

    A fault is about a subject: a server that nothing could be downloaded from, a program that could not be started, or
    this machine itself. Seen from one worker, a server that this host cannot reach and a server that does not exist
    look alike, and so do a missing interpreter and a misspelt one. So faults about one server or one program are weak
    evidence: they may all be the mistake of whoever submitted those jobs, who must not be able to halt every worker.
    They cost the worker a pause, always the same, before it claims again. That is enough for a host that cannot reach
    the only server of programs not to take the jobs away from hosts that can.

    Faults about several subjects, or about this machine, are strong evidence. Then the pauses double, and one job at a
    time is enough to find out whether the host has recovered.

    A job counts once, however often it comes back: what is wrong may be the job.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._jobs: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._subjects: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._faults = 0
        self._doublings = 0
        self._pause_until = 0.0

    @property
    def tripped(self) -> bool:
        """Whether there were too many faults in a row."""
        return self._faults >= FAULTS

    @property
    def suspects_host(self) -> bool:
        """Whether these faults are strong evidence against this host."""
        return self.tripped and (len(self._subjects) > 1 or "" in self._subjects)

    def note_made(self) -> None:
        """Note that a program was run: the host is good."""
        with self._lock:
            if self.tripped:
                logs.logger().info("worker_resumed")
            self._jobs.clear()
            self._subjects.clear()
            self._faults = self._doublings = 0
            self._pause_until = 0.0

    def note_fault(self, job_id: str, subject: str = "") -> None:
        """Note a host fault of a job. The subject is "" for this machine."""
        with self._lock:
            if job_id in self._jobs:
                return
            self._jobs.append(job_id)
            if subject not in self._subjects:
                self._subjects.append(subject)
            self._faults += 1
            if self.tripped:
                self._pause()

    def _pause(self) -> None:
        pause, about = FIRST_PAUSE_SECONDS, self._subjects[-1]
        if self.suspects_host:
            pause, about = growing_pause(self._doublings), "this host"
            self._doublings += 1
        self._pause_until = self._monotonic() + pause
        logs.logger().error("worker_paused", faults_in_a_row=self._faults, about=about, seconds=pause)

    def seconds_left(self) -> float:
        """Return for how long no job may be claimed."""
        return max(self._pause_until - self._monotonic(), 0.0)
