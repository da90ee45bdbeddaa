"""Holds back a job after its second host fault in this worker, so that the jobs behind it get their turn.

Temporary: this module can be deleted once a release can ask the server for a delay. Until then a released job returns
to its old place in the queue, which may be the first. If the fault comes with the job (a program larger than the disk,
say), every worker would claim it again at once, and nothing behind it would ever run. So the worker keeps the job, and
its lease, for a while before it releases it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from jobqueue import logs
from jobqueue.backoff import FIRST_PAUSE_SECONDS, growing_pause
from jobqueue.worker.attempts.attempt import Attempt, Cause

MAX_HELD = 16
"""How many jobs are held at a time. Each takes two threads and a connection: its heartbeats go on."""

MAX_REMEMBERED = 1000
"""How many jobs' faults are counted; the one that failed least recently is forgotten first."""


class Quarantine:
    """The jobs that are held, and how often each job could not be run here. Any thread may call `hold`."""

    def __init__(self, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        self._first_pause_seconds = first_pause_seconds
        self._lock = threading.Lock()
        self._faults: OrderedDict[str, int] = OrderedDict()
        self._held: dict[threading.Thread, Attempt] = {}
        self._closed = False

    def hold(self, attempt: Attempt, on_end: Callable[[], None]) -> bool:
        """Count a host fault of a job, and hold the job unless this is the first.

        Return True when the job is held. Its heartbeats have to go on until another thread calls `on_end`: when the
        pause is over, the attempt is stopped (its lease was lost, say) or the quarantine is closed.

        Return False when the job is not held: at its first fault, when too many jobs are held, after `close`, or when
        no thread can be started. The caller must release the job then.
        """
        with self._lock:
            seconds = self._pause_seconds(attempt.job.id)
            if not seconds or self._closed or len(self._held) >= MAX_HELD:
                return False
            thread = threading.Thread(target=self._wait, args=(attempt, seconds, on_end), name="hold", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the host has no thread left
                return False
            self._held[thread] = attempt
        logs.logger().warning("job_quarantined", job_id=attempt.job.id, seconds=seconds)
        return True

    def close(self) -> None:
        """End every hold now, wait until each `on_end` has returned, and hold no job from now on."""
        with self._lock:
            self._closed = True
            held = dict(self._held)
        for attempt in held.values():
            attempt.stop(Cause.SHUTDOWN)
        for thread in held:
            thread.join()

    def _pause_seconds(self, job_id: str) -> float:
        """Count a fault; return how long to hold the job: 0 the first time, then longer each time."""
        before = self._faults.pop(job_id, 0)
        self._faults[job_id] = before + 1
        if len(self._faults) > MAX_REMEMBERED:
            self._faults.popitem(last=False)
        return growing_pause(before - 1, self._first_pause_seconds) if before else 0.0

    def _wait(self, attempt: Attempt, seconds: float, on_end: Callable[[], None]) -> None:
        attempt.stopped.wait(seconds)
        try:
            on_end()
        finally:
            with self._lock:
                del self._held[threading.current_thread()]
