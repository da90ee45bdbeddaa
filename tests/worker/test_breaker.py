"""A worker with host faults pauses, longer and longer, until an attempt can be made again."""

from __future__ import annotations

from itertools import count

import pytest
from structlog.testing import capture_logs

from jobqueue.backoff import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from jobqueue.worker.breaker import FAULTS, Breaker
from tests.support.clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(clock)


_numbers = count()


def fail(breaker: Breaker, times: int, subject: str = "") -> None:
    """Note faults of as many different jobs."""
    for _ in range(times):
        breaker.note_fault(f"job-{next(_numbers)}", subject)


def test_a_new_worker_does_not_pause(breaker: Breaker) -> None:
    assert not breaker.tripped
    assert breaker.seconds_left() == 0


def test_a_few_faults_are_no_reason_to_pause(breaker: Breaker) -> None:
    fail(breaker, FAULTS - 1)
    assert not breaker.tripped
    assert breaker.seconds_left() == 0


def test_several_faults_in_a_row_are_a_reason_to_pause(breaker: Breaker) -> None:
    with capture_logs() as logs:
        fail(breaker, FAULTS)
    assert breaker.tripped
    assert breaker.seconds_left() == FIRST_PAUSE_SECONDS
    assert [(log["event"], log["faults_in_a_row"]) for log in logs] == [("worker_paused", FAULTS)]


def test_faults_with_a_made_attempt_between_them_are_not_in_a_row(breaker: Breaker) -> None:
    for _ in range(5):
        fail(breaker, FAULTS - 1)
        breaker.note_made()
    assert not breaker.tripped


def test_a_pause_ends_and_one_job_is_tried(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, FAULTS)
    clock.now += FIRST_PAUSE_SECONDS - 1
    assert breaker.seconds_left() == 1
    clock.now += 100
    assert breaker.seconds_left() == 0
    assert breaker.tripped


def test_each_further_fault_pauses_for_twice_as_long_up_to_a_bound(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, FAULTS - 1)
    pauses = []
    for _ in range(8):
        fail(breaker, 1)
        pauses.append(breaker.seconds_left())
        clock.now += pauses[-1]
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300]


def test_weeks_of_faults_do_no_harm(breaker: Breaker) -> None:
    fail(breaker, 5000)
    assert breaker.seconds_left() == LONGEST_PAUSE_SECONDS


def test_a_made_attempt_ends_the_pause_and_the_count(breaker: Breaker) -> None:
    fail(breaker, FAULTS + 3)
    with capture_logs() as logs:
        breaker.note_made()
        breaker.note_made()
    assert not breaker.tripped
    assert breaker.seconds_left() == 0
    assert [log["event"] for log in logs] == ["worker_resumed"]
    fail(breaker, FAULTS)
    assert breaker.seconds_left() == FIRST_PAUSE_SECONDS


def test_a_worker_that_did_not_pause_does_not_log_that_it_resumes(breaker: Breaker) -> None:
    with capture_logs() as logs:
        fail(breaker, FAULTS - 1)
        breaker.note_made()
    assert logs == []


def test_faults_of_one_job_count_once(breaker: Breaker) -> None:
    for _ in range(20):
        breaker.note_fault("job", "")
    assert not breaker.tripped


def test_faults_about_one_server_cost_a_pause_each_and_are_no_evidence_against_the_host(
    breaker: Breaker, clock: HandClock
) -> None:
    """Somebody may have submitted any number of jobs with a misspelt name."""
    fail(breaker, FAULTS - 1, "typo.example")
    for _ in range(50):
        fail(breaker, 1, "typo.example")
        assert breaker.seconds_left() == FIRST_PAUSE_SECONDS
        assert not breaker.suspects_host
        clock.now += FIRST_PAUSE_SECONDS


def test_faults_about_several_servers_are_evidence_against_the_host(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, FAULTS, "one.example")
    assert not breaker.suspects_host
    pauses = []
    for _ in range(3):
        fail(breaker, 1, "another.example")
        pauses.append(breaker.seconds_left())
    assert breaker.suspects_host
    assert pauses == [15, 30, 60]


def test_a_program_that_runs_ends_the_suspicion(breaker: Breaker) -> None:
    fail(breaker, FAULTS)
    assert breaker.suspects_host
    breaker.note_made()
    fail(breaker, FAULTS, "one.example")
    assert not breaker.suspects_host
