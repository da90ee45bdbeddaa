"""A job that a worker could not run twice is held for a while, then released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.attempts.quarantine import MAX_HELD, Quarantine
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import FakeApi
from tests.support.programs import SHELL


@pytest.fixture
def quarantine() -> Iterator[Quarantine]:
    with closing(Quarantine(first_pause_seconds=600)) as quarantine:
        yield quarantine


@pytest.fixture
def attempt(api: FakeApi, slot: Slot) -> Attempt:
    return Attempt(api.offer(SHELL), slot)


def do_not_release() -> None:
    """Release nothing."""


def test_a_job_is_not_held_after_its_first_fault(quarantine: Quarantine, attempt: Attempt) -> None:
    assert not quarantine.hold(attempt, do_not_release)


def test_a_job_is_held_after_its_second_fault_until_the_pause_is_over(attempt: Attempt) -> None:
    released = threading.Event()
    with closing(Quarantine(first_pause_seconds=0.05)) as quarantine:
        quarantine.hold(attempt, released.set)
        assert quarantine.hold(attempt, released.set)
        assert released.wait(20)


def test_a_job_is_held_longer_after_each_fault(quarantine: Quarantine) -> None:
    assert [quarantine._pause_seconds("job-1") for _ in range(4)] == [0, 300, 300, 300]
    with closing(Quarantine()) as usual:
        assert [usual._pause_seconds("job-1") for _ in range(40)] == [0, 15, 30, 60, 120, 240, *[300] * 34]
        assert usual._pause_seconds("job-2") == 0


def test_a_held_job_is_released_as_soon_as_its_attempt_is_stopped(quarantine: Quarantine, attempt: Attempt) -> None:
    released = threading.Event()
    quarantine.hold(attempt, released.set)
    assert quarantine.hold(attempt, released.set)
    assert not released.is_set()
    attempt.stop(Cause.CANCELLED)
    assert released.wait(20)


def test_closing_a_quarantine_releases_every_job_and_holds_none_from_then_on(
    quarantine: Quarantine, api: FakeApi, slot: Slot
) -> None:
    attempts = [Attempt(api.offer(SHELL), slot) for _ in range(3)]
    released: list[str] = []
    for attempt in attempts * 2:
        quarantine.hold(attempt, lambda job_id=attempt.job.id: released.append(job_id))  # type: ignore[misc]
    assert released == []
    quarantine.close()
    assert sorted(released) == sorted(attempt.job.id for attempt in attempts)
    assert not quarantine.hold(attempts[0], do_not_release)


def test_a_quarantine_never_holds_too_many_jobs(quarantine: Quarantine, api: FakeApi, slot: Slot) -> None:
    attempts = [Attempt(api.offer(SHELL), slot) for _ in range(MAX_HELD + 1)]
    for attempt in attempts:
        quarantine.hold(attempt, do_not_release)
    assert [quarantine.hold(attempt, do_not_release) for attempt in attempts] == [True] * MAX_HELD + [False]
