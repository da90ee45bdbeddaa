"""Pauses a worker whose attempts fail because of its host, so that it does not claim and release the whole queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jobqueue import logs
from jobqueue.backoff import growing_pause

FAULTS = 3
"""How many host faults in a row trip the breaker."""


class Breaker:
    """Counts the host faults in a row. Any thread may call `note`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._faults = 0
        self._pause_until = 0.0

    @property
    def tripped(self) -> bool:
        """Whether there were too many faults in a row. Until an attempt can be made again, one job at a time is enough
        to find out.
        """
        return self._faults >= FAULTS

    def note(self, made: bool) -> None:
        """Note whether an attempt could be made. Each further fault doubles the pause."""
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
        """Return for how long no job may be claimed."""
        return max(self._pause_until - self._monotonic(), 0.0)
