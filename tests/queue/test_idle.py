"""`transport/idle.py`: the stack of idle connections, used from many threads."""

from __future__ import annotations

import queue
import threading

import pytest

from jobqueue.queue.transport.idle import Idle
from tests.support.serving import at_once
from tests.support.waiting import wait_until


def filled(count: int) -> Idle[int]:
    idle = Idle[int](count)
    for number in range(count):
        idle.put_nowait(number)
    return idle


def test_the_connection_used_last_is_taken_first() -> None:
    idle = filled(3)
    assert [idle.get(0), idle.get(0), idle.get(0)] == [2, 1, 0]


def test_there_are_never_more_than_the_pool_may_have() -> None:
    with pytest.raises(queue.Full):
        filled(2).put_nowait(2)


def test_nobody_waits_longer_than_the_time_limit() -> None:
    with pytest.raises(queue.Empty):
        Idle[int](1).get(0.01)


def test_a_connection_that_comes_back_wakes_who_waits_for_one() -> None:
    idle, taken = Idle[int](1), list[int]()
    waiting = threading.Thread(target=lambda: taken.append(idle.get(60)))
    waiting.start()
    wait_until("somebody waits", lambda: idle.waiting == 1)
    idle.put_nowait(7)
    waiting.join()
    assert taken == [7]
    assert idle.waiting == 0


def test_no_connection_gets_lost_or_is_given_to_two() -> None:
    idle, in_use = filled(3), set[int]()

    def use() -> bool:
        for _ in range(300):
            number = idle.get(60)
            assert number not in in_use
            in_use.add(number)
            in_use.remove(number)
            idle.put_nowait(number)
        return True

    assert all(at_once([use] * 8))
    assert sorted(idle.queue) == [0, 1, 2]
