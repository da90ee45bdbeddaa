"""How long a download waits: not past its deadline, not once it is stopped, and not for a host that is too slow."""

from __future__ import annotations

import threading
import time

from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped, MayPass

TICK_SECONDS = 0.25
"""How long a stop may stay unheard."""
SLOW_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 1024


class Patience:
    """The patience of one download, all its tries together. For one thread."""

    def __init__(self, stopped: threading.Event, seconds: float) -> None:
        self._stopped = stopped
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self.begin(SLOW_SECONDS)

    @property
    def left_seconds(self) -> float:
        """How long until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def begin(self, within_seconds: float) -> None:
        """Begin to measure: from now on, enough bytes must come within each such time."""
        self._window_seconds = within_seconds
        self._window_end = time.monotonic() + within_seconds
        self._came = 0

    def came(self, byte_count: int) -> None:
        """Count bytes that came."""
        self._came += byte_count

    def check(self) -> float:
        """Return for how many seconds to wait, at most, before the next check.

        Raises DownloadStopped, DownloadFailed at the deadline, MayPass when too little came.
        """
        if self._stopped.is_set():
            raise DownloadStopped
        now = time.monotonic()
        if now >= self._deadline:
            raise DownloadFailed(f"not finished within {self._seconds:g} s")
        if now >= self._window_end:
            self._measure()
        return min(TICK_SECONDS, self._deadline - now)

    def pause(self, seconds: float) -> None:
        """Wait that long, though not past the deadline. Raises DownloadStopped."""
        if self._stopped.wait(min(seconds, self.left_seconds)):
            raise DownloadStopped

    def _measure(self) -> None:
        if self._came < self._window_seconds * SLOWEST_BYTES_PER_SECOND:
            raise MayPass(f"too slow: {self._came} bytes in {self._window_seconds:g} s")
        self.begin(self._window_seconds)
