"""SIGTERM and SIGINT: the first asks the worker to claim nothing more, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading

from jobqueue import logs

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Whether the worker was asked to stop. A thread waits for the signals, so that no handler runs inside a lock."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether to claim nothing more."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask for it from inside."""
        self._requested.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long unless asked to stop before; return whether to go on."""
        return not self._requested.wait(seconds)

    def listen(self) -> None:
        """Take the signals from now on. Call it before any other thread is started: they inherit that they do not."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _listen(self) -> None:
        first = signal.sigwait(SIGNALS)
        logs.logger().info("stopping", signal=signal.Signals(first).name)
        self._requested.set()
        second = signal.sigwait(SIGNALS)
        logs.logger().warning("stopping_at_once", signal=signal.Signals(second).name)
        os._exit(128 + second)
