"""A time limit ends at its deadline, when it is stopped, and when too few bytes arrive."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from jobqueue.net import time_limit
from jobqueue.net.time_limit import TICK_SECONDS, DeadlinePassed, MinimumSpeed, Silent, Stopped, TimeLimit, TooSlow
from tests.support.clock import HandClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock(0)
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=clock))
    return clock


def test_the_wait_until_the_next_check_is_short_enough_to_notice_a_stop() -> None:
    assert TimeLimit(60).check() == TICK_SECONDS <= 0.5


def test_the_wait_until_the_next_check_does_not_go_beyond_the_deadline() -> None:
    assert 0 < TimeLimit(0.1).check() <= 0.1


def test_a_passed_deadline_is_reported_with_its_length() -> None:
    limit = TimeLimit(0)
    assert limit.left_seconds == 0
    with pytest.raises(DeadlinePassed, match="0 s"):
        limit.check()


def test_a_stop_is_noticed_by_the_next_check() -> None:
    stopped = threading.Event()
    limit = TimeLimit(60, stopped)
    limit.check()
    stopped.set()
    with pytest.raises(Stopped):
        limit.check()


def test_a_window_with_too_few_bytes_is_too_slow(clock: HandClock) -> None:
    limit = TimeLimit(60, speed=MinimumSpeed(bytes_per_second=10, window_seconds=5))
    limit.count(49)
    clock.now = 4.9
    limit.check()
    clock.now = 5
    with pytest.raises(TooSlow, match="49 bytes in 5 s"):
        limit.check()


def test_every_window_needs_bytes_of_its_own(clock: HandClock) -> None:
    limit = TimeLimit(60, speed=MinimumSpeed(bytes_per_second=10, window_seconds=5))
    limit.count(1000)
    clock.now = 5
    limit.check()
    clock.now = 10
    with pytest.raises(TooSlow, match="0 bytes"):
        limit.check()


def test_silence_is_tolerated_without_a_minimum_speed(clock: HandClock) -> None:
    limit = TimeLimit(60)
    limit.begin_window(1)
    clock.now = 59
    limit.check()


def test_silence_ends_an_operation_and_progress_does_not(clock: HandClock) -> None:
    limit = TimeLimit(60, silence_seconds=2)
    for seconds in (1.9, 3.8, 5.7):
        clock.now = seconds
        limit.check()
        limit.note_progress()
    clock.now = 7.6
    assert 0 < limit.check() < 0.2
    clock.now = 7.7
    with pytest.raises(Silent, match="nothing passed for 2 s"):
        limit.check()
    limit.tolerate_silence(None)
    assert limit.check() == TICK_SECONDS


def test_a_pause_ends_at_the_deadline_or_with_a_stop() -> None:
    stopped = threading.Event()
    assert TimeLimit(0.01, stopped).pause(60) is False
    stopped.set()
    assert TimeLimit(60, stopped).pause(60) is True
