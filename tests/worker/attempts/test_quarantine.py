"""A job that a worker could not run twice is kept for a while, and given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.attempts.quarantine import MOST_KEPT, SetAside
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import FakeApi
from tests.support.programs import SHELL


@pytest.fixture
def set_aside() -> Iterator[SetAside]:
    with closing(SetAside(first_pause_seconds=600)) as set_aside:
        yield set_aside


@pytest.fixture
def attempt(api: FakeApi, slot: Slot) -> Attempt:
    return Attempt(api.offer(SHELL), slot)


def nothing() -> None:
    """Give nothing back."""


def test_the_first_time_it_is_not(set_aside: SetAside, attempt: Attempt) -> None:
    assert not set_aside.keep(attempt, nothing)


def test_the_second_time_it_is_until_the_pause_is_over(attempt: Attempt) -> None:
    given_back = threading.Event()
    with closing(SetAside(first_pause_seconds=0.05)) as set_aside:
        set_aside.keep(attempt, given_back.set)
        assert set_aside.keep(attempt, given_back.set)
        assert given_back.wait(20)


def test_each_time_it_is_for_longer(set_aside: SetAside) -> None:
    assert [set_aside._pause("job-1") for _ in range(4)] == [0, 300, 300, 300]
    with closing(SetAside()) as usual:
        assert [usual._pause("job-1") for _ in range(40)] == [0, 15, 30, 60, 120, 240, *[300] * 34]
        assert usual._pause("job-2") == 0


def test_it_is_given_back_as_soon_as_its_attempt_is_stopped(set_aside: SetAside, attempt: Attempt) -> None:
    given_back = threading.Event()
    set_aside.keep(attempt, given_back.set)
    assert set_aside.keep(attempt, given_back.set)
    assert not given_back.is_set()
    attempt.stop(Cause.CANCELLED)
    assert given_back.wait(20)


def test_all_are_given_back_at_the_end_and_none_is_kept_then(set_aside: SetAside, api: FakeApi, slot: Slot) -> None:
    attempts = [Attempt(api.offer(SHELL), slot) for _ in range(3)]
    given_back: list[str] = []
    for attempt in attempts * 2:
        set_aside.keep(attempt, lambda job_id=attempt.job.id: given_back.append(job_id))  # type: ignore[misc]
    assert given_back == []
    set_aside.close()
    assert sorted(given_back) == sorted(attempt.job.id for attempt in attempts)
    assert not set_aside.keep(attempts[0], nothing)


def test_there_are_never_too_many(set_aside: SetAside, api: FakeApi, slot: Slot) -> None:
    attempts = [Attempt(api.offer(SHELL), slot) for _ in range(MOST_KEPT + 1)]
    for attempt in attempts:
        set_aside.keep(attempt, nothing)
    assert [set_aside.keep(attempt, nothing) for attempt in attempts] == [True] * MOST_KEPT + [False]
