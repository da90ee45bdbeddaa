"""A worker claims for its free slots and, while jobs are short, a little ahead; never more than it is to run."""

from __future__ import annotations

import threading

import pytest

from jobqueue.worker.breaker import FAULTS, Breaker
from jobqueue.worker.vacancies import AHEAD_SECONDS, MAX_JOBS, SHORT_SECONDS, Prefetch, Vacancies
from tests.support.clock import HandClock


def vacancies(slots: int = 2, ahead: int = 0, max_jobs: int | None = None, breaker: Breaker | None = None) -> Vacancies:
    return Vacancies(slots, breaker or Breaker(), Prefetch(slots, ahead), max_jobs)


def test_a_claim_asks_for_all_free_slots_and_the_next_for_what_is_left() -> None:
    places = vacancies(slots=3)
    assert places.reserve() == 3
    assert places.reserve() == 0
    places.settle(3, 1)
    assert places.reserve() == 2


def test_the_place_of_a_reported_job_is_claimed_for_along_with_its_report() -> None:
    places = vacancies(slots=2)
    places.settle(places.reserve(), 2)
    places.stop_waiting()
    assert places.free_and_reserve(1) == 1
    assert not places.wait_for_one(0)
    places.settle(1, 0)
    assert places.wait_for_one(0)


def test_an_idle_worker_claims_nothing_ahead_and_nobody_does_while_its_claim_waits() -> None:
    places = vacancies(slots=2, ahead=3)
    assert places.reserve() == 2
    places.settle(2, 1)
    assert places.free_and_reserve(0) == 1


def test_a_busy_worker_claims_ahead_along_with_reports_and_for_a_free_slot() -> None:
    places = vacancies(slots=2, ahead=3)
    places.settle(places.reserve(), 2)
    places.stop_waiting()
    assert places.free_and_reserve(1) == 1 + 3
    places.settle(4, 0)
    assert places.reserve() == 1 + 3


def test_no_more_jobs_are_claimed_than_the_worker_is_to_run() -> None:
    places = vacancies(slots=8, ahead=8, max_jobs=3)
    assert places.reserve() == 3
    places.stop_waiting()
    places.settle(3, 2)
    assert places.free_and_reserve(2) == 1
    assert places.reserve() == 0
    assert not places.all_claimed
    places.settle(1, 1)
    assert places.all_claimed


def test_one_claim_asks_for_no_more_than_the_api_allows() -> None:
    assert vacancies(slots=1000).reserve() == MAX_JOBS


def test_nothing_is_claimed_while_the_worker_pauses_and_one_job_while_the_host_is_suspected() -> None:
    clock = HandClock()
    breaker = Breaker(clock)
    places = vacancies(slots=4, ahead=4, breaker=breaker)
    places.settle(places.reserve(), 4)
    places.stop_waiting()
    for number in range(FAULTS):
        breaker.note_fault(f"job-{number}")
    assert places.free_and_reserve(1) == 0
    clock.now += 3600
    assert places.free_and_reserve(2) == 0
    assert places.free_and_reserve(1) == 1
    assert places.reserve() == 0


def test_nothing_is_claimed_any_more_once_they_are_closed() -> None:
    places = vacancies()
    places.close()
    assert (places.reserve(), places.free_and_reserve(0)) == (0, 0)


def test_a_wait_for_a_free_slot_ends_when_a_report_is_on_its_way() -> None:
    places = vacancies(slots=1)
    places.settle(places.reserve(), 1)
    threading.Timer(0.01, places.free, [1]).start()
    assert places.wait_for_one(20)


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(SHORT_SECONDS * 2, 0), (SHORT_SECONDS / 2, 4), (AHEAD_SECONDS / 10, 40), (0, 400)],
    ids=["long", "short", "shorter", "instant"],
)
def test_as_many_jobs_are_claimed_ahead_as_run_in_a_moment(seconds: float, count: int) -> None:
    prefetch = Prefetch(4)
    for _ in range(10):
        prefetch.note(seconds)
    assert prefetch.count == count


def test_nothing_is_claimed_ahead_while_jobs_are_long() -> None:
    prefetch = Prefetch(2)
    for seconds in (0.001, 0.001, 10, 10, 10):
        prefetch.note(seconds)
    assert prefetch.count == 0


def test_nothing_is_claimed_ahead_before_some_jobs_have_run_nor_after_one_has_waited_too_long() -> None:
    prefetch = Prefetch(2)
    prefetch.note(0.001)
    assert prefetch.count == 0
    for _ in range(5):
        prefetch.note(0.001)
    assert prefetch.count > 0
    prefetch.forget()
    assert prefetch.count == 0


def test_a_number_fixes_how_many_jobs_are_claimed_ahead() -> None:
    prefetch = Prefetch(2, 7)
    assert prefetch.count == 7
    for _ in range(10):
        prefetch.note(60)
    assert prefetch.count == 7


def test_not_even_a_fixed_number_brings_back_at_once_what_has_waited_too_long() -> None:
    prefetch = Prefetch(2, 7)
    prefetch.forget()
    assert prefetch.count == 0
    prefetch.note(60)
    assert prefetch.count == 7
