"""A program that failed because SIGTERM was sent to every process is told from one that failed by itself."""

from __future__ import annotations

import threading
import time

import pytest

from jobqueue.job import Measured
from jobqueue.worker.attempts.platform_stop import SIGNAL_DELAY_SECONDS, ended_by_platform
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.supervisor.messages import Outcome

KILLED = Outcome(143, measured=Measured(signal="SIGTERM"))
SHELL_WHOSE_CHILD_WAS_KILLED = Outcome(143)
FAILED_BESIDE_ITS_SUPERVISOR = Outcome(1, supervisor_terminated=True)


@pytest.fixture
def stopping() -> Shutdown:
    """A worker that was asked to stop."""
    shutdown = Shutdown()
    shutdown.request()
    return shutdown


@pytest.mark.parametrize("outcome", [KILLED, SHELL_WHOSE_CHILD_WAS_KILLED, FAILED_BESIDE_ITS_SUPERVISOR])
def test_a_program_that_got_sigterm_with_its_worker_was_ended_by_the_platform(
    outcome: Outcome, stopping: Shutdown
) -> None:
    assert ended_by_platform(outcome, stopping)


def test_the_worker_may_get_its_sigterm_a_moment_later() -> None:
    shutdown = Shutdown()
    threading.Timer(SIGNAL_DELAY_SECONDS / 4, shutdown.request).start()
    assert ended_by_platform(KILLED, shutdown)


def test_a_program_that_got_sigterm_alone_has_failed() -> None:
    begun = time.monotonic()
    assert not ended_by_platform(KILLED, Shutdown())
    assert time.monotonic() - begun >= SIGNAL_DELAY_SECONDS


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(0, supervisor_terminated=True),
        Outcome(15),
        Outcome(137, measured=Measured(signal="SIGKILL")),
        Outcome(143, timed_out=True),
        Outcome(143, stopped=True),
    ],
)
def test_a_program_that_ended_for_another_reason_was_not_ended_by_the_platform(
    outcome: Outcome, stopping: Shutdown
) -> None:
    assert not ended_by_platform(outcome, stopping)
