"""When a program has to end: what is due at which moment, by a clock that is set by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobqueue.worker.supervisor import termination
from jobqueue.worker.supervisor.messages import Launch
from jobqueue.worker.supervisor.program import Program
from jobqueue.worker.supervisor.termination import Ending

FAR = 1e9
"""A moment that never comes: when there is nothing to show."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Asked(Program):
    """A program that was never started: it only counts how often it is asked to end."""

    def __init__(self) -> None:
        self.times = 0

    def terminate(self) -> None:
        self.times += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(termination, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def program() -> Asked:
    return Asked()


def launched(timeout_seconds: float | None = None, kill_grace_seconds: float = 10) -> Ending:
    return Ending(Launch("/program", [], {}, "/", timeout_seconds, kill_grace_seconds))


def test_without_a_limit_nothing_is_ever_due(clock: Clock, program: Asked) -> None:
    ends = launched()
    clock.now += 1e8
    assert not ends.advance(program)
    assert (program.times, ends.stopped, ends.timed_out) == (0, False, False)


def test_after_its_time_a_program_is_asked_once_and_killed_after_its_grace(clock: Clock, program: Asked) -> None:
    ends = launched(60, 10)
    clock.now += 59.9
    assert not ends.advance(program)
    assert program.times == 0
    clock.now += 0.1
    assert not ends.advance(program)
    clock.now += 9.9
    assert not ends.advance(program)
    assert program.times == 1
    clock.now += 0.1
    assert ends.advance(program)
    assert (ends.timed_out, ends.stopped) == (True, False)


def test_without_a_grace_it_is_killed_unasked(clock: Clock, program: Asked) -> None:
    ends = launched(60, 0)
    clock.now += 60
    assert ends.advance(program)
    assert program.times == 0


def test_a_stop_asks_once_and_kills_later(clock: Clock, program: Asked) -> None:
    ends = launched()
    ends.stop(5)
    assert not ends.advance(program)
    assert not ends.advance(program)
    assert program.times == 1
    clock.now += 5
    assert ends.advance(program)
    assert (ends.stopped, ends.timed_out) == (True, False)


def test_a_stop_without_a_grace_kills_at_once(clock: Clock, program: Asked) -> None:
    ends = launched()
    ends.stop(0)
    assert ends.advance(program)
    assert program.times == 0


def test_a_second_stop_can_hurry_and_never_delay(clock: Clock, program: Asked) -> None:
    ends = launched()
    ends.stop(5)
    ends.stop(60)
    clock.now += 5
    assert ends.advance(program)
    hurried = launched()
    hurried.stop(60)
    assert not hurried.advance(program)
    hurried.stop(0)
    assert hurried.advance(program)
    assert program.times == 1


def test_time_that_runs_out_while_a_program_stops_is_no_time_out(clock: Clock, program: Asked) -> None:
    ends = launched(3, 10)
    ends.stop(5)
    clock.now += 4
    assert not ends.advance(program)
    assert (ends.stopped, ends.timed_out) == (True, False)
    clock.now += 1
    assert ends.advance(program)


def test_a_stop_that_comes_after_the_time_out_does_not_change_why_but_may_hurry(clock: Clock, program: Asked) -> None:
    ends = launched(3, 10)
    clock.now += 3
    assert not ends.advance(program)
    ends.stop(0)
    assert ends.advance(program)
    assert (ends.stopped, ends.timed_out) == (False, True)


def test_one_waits_until_the_next_thing_is_due(clock: Clock, program: Asked) -> None:
    assert launched().seconds_left(clock.now + 1) == 1
    ends = launched(60, 10)
    assert ends.seconds_left(FAR) == 60
    assert ends.seconds_left(clock.now + 1) == 1
    clock.now += 60
    assert ends.seconds_left(FAR) == 0
    ends.advance(program)
    assert ends.seconds_left(FAR) == 10
    ends.stop(2)
    assert ends.seconds_left(FAR) == 2
    clock.now += 100
    assert ends.seconds_left(FAR) == 0
