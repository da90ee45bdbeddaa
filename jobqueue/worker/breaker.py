"""Keeps a worker whose attempts fail for its own reasons from eating the queue: it pauses, and tries one job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jobqueue import logs
from jobqueue.backoff import growing_pause

FAULTS = 3


class Breaker:
    """Counts the attempts in a row that could not be made. Any thread may `note`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._faults = 0
        self._pause_until = 0.0

    @property
    def tripped(self) -> bool:
        """Whether too many have failed in a row: then one job at a time is enough to see how it goes."""
        return self._faults >= FAULTS

    def note(self, made: bool) -> None:
        """Note whether an attempt could be made."""
        with self._lock:
            if made:
                if self.tripped:
                    logs.logger().info("worker_resumed")
                self._faults = 0
                self._pause_until = 0.0
                return
            self._faults += 1
            if self.tripped:
                pause = growing_pause(self._faults - FAULTS)
                self._pause_until = self._monotonic() + pause
                logs.logger().error("worker_paused", faults_in_a_row=self._faults, seconds=pause)

    def seconds_left(self) -> float:
        """Return how long to claim nothing."""
        return max(self._pause_until - self._monotonic(), 0.0)
