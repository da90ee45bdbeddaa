"""When a program receives SIGTERM and when it is killed, by a clock that is set by hand."""

from __future__ import annotations

import math

import pytest

from jobqueue.worker.supervisor.messages import Launch, LeaseEnd
from jobqueue.worker.supervisor.program import Program
from jobqueue.worker.supervisor.termination import Termination
from tests.support.clock import HandClock


class CountedProgram(Program):
    """A program that was never started. It only counts how often it receives SIGTERM."""

    def __init__(self) -> None:
        self.times = 0

    def terminate(self) -> None:
        self.times += 1


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def program() -> CountedProgram:
    return CountedProgram()


def launched(clock: HandClock, timeout_seconds: float | None = None, kill_grace_seconds: float = 10) -> Termination:
    return Termination(Launch("/program", [], {}, "/", timeout_seconds, kill_grace_seconds), clock)


def leased(clock: HandClock, seconds: float, timeout_seconds: float | None = None) -> Termination:
    """A program whose lease ends after that time, and which is killed ten seconds later."""
    end = LeaseEnd(clock.now + seconds, clock.now + seconds + 10)
    return Termination(Launch("/program", [], {}, "/", timeout_seconds, lease_end=end), clock)


def test_a_program_without_a_time_limit_is_never_due_to_end(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock)
    clock.now += 1e8
    assert not termination.advance(program)
    assert (program.times, termination.stopped, termination.timed_out) == (0, False, False)


def test_a_program_at_its_time_limit_receives_one_sigterm_and_is_killed_after_its_grace(
    clock: HandClock, program: CountedProgram
) -> None:
    termination = launched(clock, 60, 10)
    clock.now += 59.9
    assert not termination.advance(program)
    assert program.times == 0
    clock.now += 0.1
    assert not termination.advance(program)
    clock.now += 9.9
    assert not termination.advance(program)
    assert program.times == 1
    clock.now += 0.1
    assert termination.advance(program)
    assert (termination.timed_out, termination.stopped) == (True, False)


def test_a_program_without_a_grace_is_killed_without_sigterm(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock, 60, 0)
    clock.now += 60
    assert termination.advance(program)
    assert program.times == 0


def test_a_stop_sends_one_sigterm_and_kills_later(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock)
    termination.stop(5)
    assert not termination.advance(program)
    assert not termination.advance(program)
    assert program.times == 1
    clock.now += 5
    assert termination.advance(program)
    assert (termination.stopped, termination.timed_out) == (True, False)


def test_a_stop_without_a_grace_kills_at_once(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock)
    termination.stop(0)
    assert termination.advance(program)
    assert program.times == 0


def test_a_second_stop_can_bring_the_end_forward_and_never_delay_it(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock)
    termination.stop(5)
    termination.stop(60)
    clock.now += 5
    assert termination.advance(program)
    hurried = launched(clock)
    hurried.stop(60)
    assert not hurried.advance(program)
    hurried.stop(0)
    assert hurried.advance(program)
    assert program.times == 1


def test_a_time_limit_reached_during_a_stop_is_no_time_out(clock: HandClock, program: CountedProgram) -> None:
    termination = launched(clock, 3, 10)
    termination.stop(5)
    clock.now += 4
    assert not termination.advance(program)
    assert (termination.stopped, termination.timed_out) == (True, False)
    clock.now += 1
    assert termination.advance(program)


def test_a_stop_after_the_time_out_keeps_the_reason_but_may_bring_the_end_forward(
    clock: HandClock, program: CountedProgram
) -> None:
    termination = launched(clock, 3, 10)
    clock.now += 3
    assert not termination.advance(program)
    termination.stop(0)
    assert termination.advance(program)
    assert (termination.stopped, termination.timed_out) == (False, True)


def test_the_next_moment_is_the_earliest_of_all_that_is_due(clock: HandClock, program: CountedProgram) -> None:
    assert launched(clock).seconds_until(clock.now + 1) == 1
    termination = launched(clock, 60, 10)
    assert termination.seconds_until(math.inf) == 60
    assert termination.seconds_until(clock.now + 1) == 1
    clock.now += 60
    assert termination.seconds_until(math.inf) == 0
    termination.advance(program)
    assert termination.seconds_until(math.inf) == 10
    termination.stop(2)
    assert termination.seconds_until(math.inf) == 2
    clock.now += 100
    assert termination.seconds_until(math.inf) == 0


def test_a_program_receives_sigterm_at_the_end_of_its_lease_and_is_killed_after_its_grace(
    clock: HandClock, program: CountedProgram
) -> None:
    termination = leased(clock, 60)
    assert termination.seconds_until(math.inf) == 60
    clock.now += 59.9
    assert not termination.advance(program)
    assert program.times == 0
    clock.now += 0.1
    assert termination.lease_is_due
    assert not termination.advance(program)
    assert (program.times, termination.lease_over, termination.stopped) == (1, True, True)
    assert termination.seconds_until(math.inf) == 10
    clock.now += 10
    assert termination.advance(program)


def test_a_machine_that_was_suspended_beyond_the_end_of_the_lease_kills_the_program_at_once(
    clock: HandClock, program: CountedProgram
) -> None:
    termination = leased(clock, 60)
    clock.now += 3600
    assert termination.advance(program)
    assert program.times == 0


def test_a_renewal_puts_off_the_end_of_the_lease(clock: HandClock, program: CountedProgram) -> None:
    termination = leased(clock, 60)
    termination.renew(LeaseEnd(clock.now + 100, clock.now + 110))
    clock.now += 99
    assert not termination.advance(program)
    assert termination.seconds_until(math.inf) == 1
    clock.now += 1
    assert not termination.advance(program)
    assert termination.lease_over


def test_a_renewal_that_comes_after_the_end_of_the_lease_revives_nothing(
    clock: HandClock, program: CountedProgram
) -> None:
    termination = leased(clock, 60)
    clock.now += 60
    assert not termination.advance(program)
    termination.renew(LeaseEnd(clock.now + 100, clock.now + 110))
    clock.now += 10
    assert termination.advance(program)


def test_the_end_of_the_lease_brings_the_end_of_a_stop_and_of_a_time_out_forward(
    clock: HandClock, program: CountedProgram
) -> None:
    stopped, timed_out = leased(clock, 5), leased(clock, 5, timeout_seconds=4)
    stopped.stop(60)
    for termination in (stopped, timed_out):
        termination.lease_end = LeaseEnd(clock.now + 5, clock.now + 6)
    clock.now += 4
    assert not timed_out.advance(program)
    clock.now += 1
    for termination in (stopped, timed_out):
        assert not termination.advance(program)
        assert termination.seconds_until(math.inf) == 1
    assert (timed_out.timed_out, timed_out.stopped, stopped.stopped) == (True, False, True)
