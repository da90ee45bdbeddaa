"""Recognizes a platform stop: somebody shuts the host down by sending SIGTERM to every process on it.

A program that fails because of such a signal has not failed by itself. The supervisor receives the signal as well, and
says so in the outcome; the worker, which knows whether it was asked to shut down, decides what that means.
"""

from __future__ import annotations

import signal

LATE_SIGNAL_SECONDS = 0.03
"""How much later than the program the supervisor may receive the signal: whoever sends it to one process after another
may be delayed in between.
"""

SURVIVED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that somebody may send to every process. None of them ends the supervisor: only the worker ends it."""


class PlatformStop:
    """Whether this process has received SIGTERM since `reset`."""

    signalled = False

    def watch(self) -> None:
        """From now on, survive these signals and note a SIGTERM."""
        # A handler, not SIG_IGN: an ignored signal would stay ignored in every program that this process starts,
        # whereas exec resets a handler.
        for number in SURVIVED:
            signal.signal(number, self._note)

    def reset(self) -> None:
        """Forget a SIGTERM that came before the run that begins now."""
        self.signalled = False

    def wait_for_late_signal(self) -> None:
        """Give a SIGTERM that has already ended the program the time to reach this process as well."""
        if self.signalled:
            return
        # The signal is blocked while we wait, so that sigtimedwait receives it instead of the handler. One that the
        # handler received between the check above and the block has set `signalled`; it only costs the full wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        received = signal.sigtimedwait([signal.SIGTERM], LATE_SIGNAL_SECONDS)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        self.signalled = self.signalled or received is not None

    def _note(self, number: int, _frame: object) -> None:
        self.signalled = self.signalled or number == signal.SIGTERM
