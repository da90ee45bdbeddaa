"""Jobs that this worker could not run twice: kept from the queue for a while, so that the others get their turn.

A job that comes back keeps its place, which may be the first. If the fault comes with the job (a program larger than
the disk) it would meet every worker again and again, and nothing behind it would ever run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from jobqueue import logs
from jobqueue.backoff import FIRST_PAUSE_SECONDS, growing_pause
from jobqueue.worker.attempts.attempt import Attempt, Cause

MOST_KEPT = 16
"""Each takes two threads and a connection: its heartbeats go on."""

MOST_REMEMBERED = 1000


class SetAside:
    """The jobs that are kept, and how often each could not be run here. Any thread may `keep`."""

    def __init__(self, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        self._first_pause_seconds = first_pause_seconds
        self._lock = threading.Lock()
        self._faults: OrderedDict[str, int] = OrderedDict()
        self._kept: dict[threading.Thread, Attempt] = {}
        self._closed = False

    def keep(self, attempt: Attempt, give_back: Callable[[], None]) -> bool:
        """Note that a job could not be run here. Return whether it is kept: then its heartbeats have to go on until
        `give_back` is called, from another thread. It is not for the first time, nor when there are too many.
        """
        with self._lock:
            seconds = self._pause(attempt.job.id)
            if not seconds or self._closed or len(self._kept) >= MOST_KEPT:
                return False
            thread = threading.Thread(target=self._wait, args=(attempt, seconds, give_back), name="aside", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there are too many threads
                return False
            self._kept[thread] = attempt
        logs.logger().warning("job_set_aside", job_id=attempt.job.id, seconds=seconds)
        return True

    def close(self) -> None:
        """Have every job given back now, and keep none any more."""
        with self._lock:
            self._closed = True
            kept = dict(self._kept)
        for attempt in kept.values():
            attempt.stop(Cause.SHUTDOWN)
        for thread in kept:
            thread.join()

    def _pause(self, job_id: str) -> float:
        """Count a fault; return for how long to keep the job: not the first time, then longer and longer."""
        before = self._faults.pop(job_id, 0)
        self._faults[job_id] = before + 1
        if len(self._faults) > MOST_REMEMBERED:
            self._faults.popitem(last=False)
        return growing_pause(before - 1, self._first_pause_seconds) if before else 0.0

    def _wait(self, attempt: Attempt, seconds: float, give_back: Callable[[], None]) -> None:
        attempt.stopped.wait(seconds)
        try:
            give_back()
        finally:
            with self._lock:
                del self._kept[threading.current_thread()]
