"""Whether the worker was asked to stop: the first SIGTERM, SIGINT or SIGHUP drains it, the second makes it hurry."""

from __future__ import annotations

import math
import signal
import threading
import time

from jobqueue import logs

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP is what a terminal sends that is closed, and an SSH connection that is lost."""


class Shutdown:
    """The requests to stop so far. Any thread may ask.

    A thread waits for the signals with sigwait(3). A signal handler would run between any two instructions of the main
    thread, possibly while that holds the lock of the event or of the log, and wait for this lock for ever.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._hurried = threading.Event()
        self._requested_at, self._hurried_at = 0.0, math.inf

    @property
    def requested(self) -> bool:
        """Whether to claim no further job."""
        return self._requested.is_set()

    @property
    def hurried(self) -> bool:
        """Whether to stop the running jobs, too, instead of waiting for them."""
        return self._hurried.is_set()

    def request(self) -> None:
        """Ask the worker to stop; the second time, to hurry."""
        if not self.requested:
            self._requested_at = time.monotonic()
            self._requested.set()
        elif not self.hurried:
            self._hurried_at = time.monotonic()
            self._hurried.set()

    def requested_within(self, seconds: float) -> bool:
        """Wait for that time, or until the worker is asked to stop; return whether it was."""
        return self._requested.wait(seconds)

    def seconds_left(self, drain_seconds: float, after_drain_seconds: float = 0.0) -> float:
        """Return how much is left of a drain and of the time after it. Both count from the first signal; the second
        signal ends the drain.
        """
        drained_at = min(self._requested_at + drain_seconds, self._hurried_at)
        return max(drained_at + after_drain_seconds - time.monotonic(), 0.0)

    def listen(self) -> None:
        """Receive the signals from now on. Call this before any other thread is started.

        The signals have to be blocked in every thread, or the kernel may deliver one to a thread that does not wait for
        it. New threads inherit what is blocked.
        """
        # A signal that is ignored would be received all the same once it is blocked. SIGHUP is ignored when `nohup`
        # started the worker, which has to outlive its terminal then.
        signals = {number for number in SIGNALS if number != signal.SIGHUP or not _is_ignored(number)}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._listen, args=(signals,), name="signals", daemon=True).start()

    def _listen(self, signals: set[signal.Signals]) -> None:
        while True:
            number = signal.sigwait(signals)
            event = "hurrying" if self.requested else "stopping"
            self.request()
            logs.logger().info(event, signal=signal.Signals(number).name)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
