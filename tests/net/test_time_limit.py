"""A time limit ends at its deadline, when it is stopped, and when too few bytes arrive."""

from __future__ import annotations

import threading
import time

import pytest

from jobqueue.net.time_limit import TICK_SECONDS, DeadlinePassed, MinimumSpeed, Stopped, TimeLimit, TooSlow


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


def test_a_window_with_too_few_bytes_is_too_slow() -> None:
    limit = TimeLimit(60, speed=MinimumSpeed(bytes_per_second=1000, window_seconds=0.05))
    limit.count(49)
    limit.check()
    time.sleep(0.06)
    with pytest.raises(TooSlow, match=r"49 bytes in 0\.05 s"):
        limit.check()


def test_every_window_needs_bytes_of_its_own() -> None:
    limit = TimeLimit(60, speed=MinimumSpeed(bytes_per_second=1000, window_seconds=0.05))
    limit.count(1000)
    time.sleep(0.06)
    limit.check()
    time.sleep(0.06)
    with pytest.raises(TooSlow, match="0 bytes"):
        limit.check()


def test_silence_is_tolerated_without_a_minimum_speed() -> None:
    limit = TimeLimit(60)
    limit.begin_window(0.001)
    time.sleep(0.01)
    limit.check()


def test_a_pause_ends_at_the_deadline_or_with_a_stop() -> None:
    stopped = threading.Event()
    assert TimeLimit(0.01, stopped).pause(60) is False
    stopped.set()
    assert TimeLimit(60, stopped).pause(60) is True
