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
        self._requested_at = 0.0

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
            self._hurried.set()
            return
        self._requested_at = time.monotonic()
        self._requested.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long unless asked to stop before; return whether to go on."""
        return not self._requested.wait(seconds)

    def seconds_left(self, allowed_seconds: float) -> float:
        """Return how much is left of the time allowed from the first signal on: nothing once it is to hurry."""
        return 0.0 if self.hurried else max(self._requested_at + allowed_seconds - time.monotonic(), 0.0)

    def listen(self) -> None:
        """Take the signals from now on. Call it before any other thread is started: they inherit that they do not."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _listen(self) -> None:
        while True:
            number = signal.sigwait(SIGNALS)
            event = "hurrying" if self.requested else "stopping"
            logs.logger().info(event, signal=signal.Signals(number).name)
            self.request()
