"""Recognizes a program that failed only because the platform sent SIGTERM to every process at once.

Heroku does so at each deploy and once a day. The job then has to be released, not reported as failed. This is the
worker's side; the supervisor notes in `Outcome.supervisor_terminated` whether it got the signal, too.
"""

from __future__ import annotations

import signal

from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.supervisor.messages import Outcome

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
"""The exit code of a program that SIGTERM killed; shells also exit with it when SIGTERM has killed their child."""

SIGNAL_DELAY_SECONDS = 1.0
"""How much later than the program the worker may get its own SIGTERM."""


def ended_by_platform(outcome: Outcome, shutdown: Shutdown) -> bool:
    """Return whether the program failed because of a SIGTERM to every process. May wait for SIGNAL_DELAY_SECONDS.

    Two signs are needed. First, the supervisor got SIGTERM as well, or the exit code is the one of SIGTERM. Second, the
    worker is asked to stop. Its own SIGTERM may come a moment later, since signals are sent to one process after the
    other, so the worker waits a little before it decides.

    A job that sends SIGTERM to itself or to its supervisor shows only the first sign. It has failed: if it were
    released, it would be started again, for ever.
    """
    failed_by_itself = outcome.exit_code != 0 and not outcome.timed_out and not outcome.stopped
    sigterm_seen = outcome.supervisor_terminated or outcome.exit_code == TERMINATED_EXIT_CODE
    return failed_by_itself and sigterm_seen and shutdown.requested_within(SIGNAL_DELAY_SECONDS)
