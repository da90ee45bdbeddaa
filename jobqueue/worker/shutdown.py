"""SIGTERM and SIGINT: the first asks the worker to claim nothing more and to finish, the second to hurry."""

from __future__ import annotations

import signal
import threading
import time

from jobqueue import logs

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Whether the worker was asked to stop. A thread waits for the signals, so that no handler runs inside a lock."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._hurried = threading.Event()
        self._requested_at = self._hurried_at = 0.0

    @property
    def requested(self) -> bool:
        """Whether to claim nothing more."""
        return self._requested.is_set()

    @property
    def hurried(self) -> bool:
        """Whether not to wait for jobs either."""
        return self._hurried.is_set()

    def request(self) -> None:
        """Ask for it; asked again: hurry."""
        if self.requested:
            if not self.hurried:
                self._hurried_at = time.monotonic()
            self._hurried.set()
            return
        self._requested_at = time.monotonic()
        self._requested.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long unless asked to stop before; return whether to go on."""
        return not self._requested.wait(seconds)

    def seconds_left(self, drain_seconds: float, ending_seconds: float = 0.0) -> float:
        """Return how much is left of the time for jobs to end, and of that for the worker after it: from the first
        signal on, or from the second, with which the first part is over.
        """
        drained_at = self._requested_at + drain_seconds
        if self.hurried:
            drained_at = min(drained_at, self._hurried_at)
        return max(drained_at + ending_seconds - time.monotonic(), 0.0)

    def listen(self) -> None:
        """Take the signals from now on. Call it before any other thread is started: they inherit that they do not."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _listen(self) -> None:
        while True:
            number = signal.sigwait(SIGNALS)
            event = "hurrying" if self.requested else "stopping"
            self.request()
            logs.logger().info(event, signal=signal.Signals(number).name)
