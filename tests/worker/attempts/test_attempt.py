"""An attempt can be stopped from any thread, for one cause."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.slots.slot import Slot
from tests.support.processes import wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, SHELL, Stage

JOB = ClaimedJob("id-1", "http://host/program", "ab" * 32, [], {}, "token-1", 60_000)


@pytest.fixture
def attempt(slot: Slot) -> Attempt:
    return Attempt(JOB, slot)


def test_a_new_attempt_is_not_stopped(attempt: Attempt) -> None:
    assert not attempt.stopped.is_set()
    assert attempt.cause is None


@pytest.mark.parametrize("cause", list(Cause))
def test_a_stopped_attempt_has_a_cause(attempt: Attempt, cause: Cause) -> None:
    attempt.stop(cause)
    assert attempt.stopped.is_set()
    assert attempt.cause is cause


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (Cause.CANCELLED, Cause.SHUTDOWN, Cause.CANCELLED),
        (Cause.SHUTDOWN, Cause.CANCELLED, Cause.SHUTDOWN),
        (Cause.CANCELLED, Cause.LEASE_LOST, Cause.LEASE_LOST),
        (Cause.SHUTDOWN, Cause.LEASE_LOST, Cause.LEASE_LOST),
        (Cause.LEASE_LOST, Cause.CANCELLED, Cause.LEASE_LOST),
        (Cause.LEASE_LOST, Cause.SHUTDOWN, Cause.LEASE_LOST),
    ],
)
def test_the_first_cause_of_a_stop_counts_but_a_lost_lease_always_does(
    attempt: Attempt, first: Cause, second: Cause, counts: Cause
) -> None:
    attempt.stop(first)
    attempt.stop(second)
    assert attempt.cause is counts


def test_a_lost_lease_counts_among_many_causes_at_once(attempt: Attempt) -> None:
    causes = [Cause.CANCELLED, Cause.SHUTDOWN] * 8 + [Cause.LEASE_LOST] + [Cause.CANCELLED] * 8
    with ThreadPoolExecutor(len(causes)) as pool:
        list(pool.map(attempt.stop, causes))
    assert attempt.cause is Cause.LEASE_LOST


def test_stopping_an_attempt_kills_its_program(attempt: Attempt, stage: Stage, tmp_path: Path) -> None:
    running = stage.begin_launch(stage.launch(FOREVER, tmp_path / "pids"), stopped=attempt.stopped)
    pids = wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.LEASE_LOST)
    assert running.result(10).stopped
    wait_until_gone(pids)


def test_a_program_with_a_grace_gets_sigterm_first(attempt: Attempt, stage: Stage, tmp_path: Path) -> None:
    script = SHELL + "trap 'exit 7' TERM\necho $$ > $1\nwhile :; do sleep 0.05; done"
    running = stage.begin_launch(stage.launch(script, tmp_path / "pids"), stopped=attempt.stopped)
    wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.CANCELLED, 60)
    outcome = running.result(20)
    assert (outcome.stopped, outcome.exit_code) == (True, 7)


def test_stopping_an_attempt_that_is_over_does_not_stop_the_next_in_its_slot(
    attempt: Attempt, stage: Stage, tmp_path: Path
) -> None:
    waiting = SHELL + 'echo $$ > "$1"; until [ -e "$2" ]; do sleep 0.05; done'
    running = stage.begin(waiting, tmp_path / "pids", tmp_path / "go")
    wait_for_pids(tmp_path / "pids", 1)
    attempt.stop(Cause.LEASE_LOST)
    (tmp_path / "go").touch()
    assert not running.result(10).stopped


def test_a_program_whose_attempt_was_stopped_before_is_not_started(attempt: Attempt, slot: Slot, stage: Stage) -> None:
    attempt.stop(Cause.SHUTDOWN)
    outcome = slot.run(stage.launch(SHELL + "exit 0"), attempt.stopped)
    assert (outcome.stopped, outcome.exit_code) == (True, None)
