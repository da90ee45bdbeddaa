"""`lua/list.lua`: any page of any filter is the same as in a plain Python list."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import pytest

from jobqueue.job import Job, JobSummary, Priority, Status
from jobqueue.queue.queries import FIRST_CURSOR, Filter
from tests.support.attempts import BROKEN, DONE, claim, lose, start
from tests.support.bench import Bench
from tests.support.contents import contents

TYPES = ("demo", "demo:demo", "größe")
FILTERS = [
    Filter(status, priority, type)
    for status, priority, type in product((None, *Status), (None, *Priority), (None, *TYPES, "no-such-type"))
]


def fill(bench: Bench, count: int) -> list[Job]:
    """Submit jobs of every kind and give each a random status. Return them all, newest first."""
    chance = random.Random(7)
    job_ids = []
    for _ in range(count):
        bench.clock.advance(chance.randrange(3))
        job_ids += bench.submit(1, chance.choice(list(Priority)), chance.choice(TYPES))
    bench.commands.cancel_many(chance.sample(job_ids, count // 5))
    for _ in range(count // 2):
        bench.clock.advance(1)
        attempt = claim(bench, f"executor-{chance.randrange(3)}")
        fate = chance.randrange(3)
        if fate == 0:
            bench.claims.complete(attempt.job_id, attempt.holder, DONE)
        elif fate == 1:
            bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    return [bench.queries.get(job_id) for job_id in reversed(job_ids)]


def matching(jobs: Sequence[Job], wanted: Filter) -> list[JobSummary]:
    """Return what a list of these jobs with this filter must return."""
    return [
        summary(job)
        for job in jobs
        if wanted.status in (None, job.status)
        and wanted.priority in (None, job.priority)
        and wanted.type in (None, job.type)
    ]


def summary(job: Job) -> JobSummary:
    return JobSummary(job.id, job.type, job.priority, job.status, job.executor_id, job.created_at_ms, job.started_at_ms)


def test_an_empty_queue_lists_nothing(bench: Bench) -> None:
    page = bench.queries.list(Filter(), 10, 0)
    assert (list(page.jobs), page.total) == ([], 0)


def test_every_filter_and_every_page_agrees_with_a_plain_list(bench: Bench) -> None:
    jobs = fill(bench, 40)
    for wanted in FILTERS:
        expected = matching(jobs, wanted)
        total = len(expected)
        for limit, offset in ((1000, 0), (3, 0), (4, total // 2), (2, max(total - 1, 0)), (5, total), (1, 10**9)):
            page = bench.queries.list(wanted, limit, offset)
            assert (list(page.jobs), page.total) == (expected[offset : offset + limit], total), (wanted, limit, offset)


@pytest.mark.parametrize("size", [1, 7, 16])
def test_pages_put_together_are_the_whole_list(bench: Bench, size: int) -> None:
    jobs = fill(bench, 40)
    pages = [bench.queries.list(Filter(), size, offset).jobs for offset in range(0, 40, size)]
    assert [job for page in pages for job in page] == matching(jobs, Filter())


def test_a_page_far_down_a_long_list_is_right(real_bench: Bench) -> None:
    job_ids = [job_id for _ in range(5) for job_id in real_bench.submit(1000)][::-1]
    for offset in (0, 1, 999, 2500, 4321, 4995, 4999):
        page = real_bench.queries.list(Filter(), 10, offset)
        assert [job.id for job in page.jobs] == job_ids[offset : offset + 10]
        assert page.total == 5000


def test_a_page_far_down_a_list_with_gaps_is_right(real_bench: Bench) -> None:
    job_ids = real_bench.submit(1000)
    real_bench.commands.cancel_many([job_id for place, job_id in enumerate(job_ids) if place % 7])
    pending = job_ids[::7][::-1]
    for offset in (0, 1, 70, 140, len(pending) - 1):
        page = real_bench.queries.list(Filter(Status.PENDING), 3, offset)
        assert [job.id for job in page.jobs] == pending[offset : offset + 3]


@pytest.mark.parametrize("size", [1, 7, 16])
def test_a_walk_shows_the_whole_list_of_any_filter(bench: Bench, size: int) -> None:
    jobs = fill(bench, 40)
    for wanted in FILTERS[:: size + 5]:
        cursor, walked = FIRST_CURSOR, list[JobSummary]()
        while cursor:
            page = bench.queries.list(wanted, size, cursor=cursor)
            walked += page.jobs
            cursor = page.next_cursor
        assert walked == matching(jobs, wanted), wanted


def test_a_list_whose_jobs_lie_in_a_few_clusters_has_the_right_pages(real_bench: Bench) -> None:
    wanted = list[str]()
    for type, count in (("wanted", 40), ("other", 950), ("wanted", 20), ("other", 980), ("wanted", 1)):
        job_ids = real_bench.submit(count, type=type)
        wanted += job_ids if type == "wanted" else []
    for _ in range(10):
        claim(real_bench)
    real_bench.commands.cancel_many(wanted[15:50])
    newest_first = wanted[::-1]
    for offset in range(0, len(wanted), 3):
        page = real_bench.queries.list(Filter(type="wanted"), 5, offset)
        assert [job.id for job in page.jobs] == newest_first[offset : offset + 5], offset


def test_a_requeued_job_is_listed_at_its_old_place(bench: Bench) -> None:
    lost = lose(bench)
    [newer] = bench.submit()
    assert [job.id for job in bench.queries.list(Filter(), 10, 0).jobs] == [newer, lost.job_id]


def test_pages_stay_where_they_are_while_jobs_run_and_end(bench: Bench) -> None:
    job_ids = bench.submit(6)
    first = bench.queries.list(Filter(), 3, 0)
    attempt = claim(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.commands.cancel(job_ids[5])
    second = bench.queries.list(Filter(), 3, 3)
    assert [job.id for page in (first, second) for job in page.jobs] == job_ids[::-1]


def test_a_missing_value_in_a_list_is_none(bench: Bench) -> None:
    bench.submit()
    [pending] = bench.queries.list(Filter(), 1, 0).jobs
    assert (pending.executor_id, pending.started_at_ms) == (None, None)
    start(bench, priority=Priority.FOREGROUND)
    [running] = bench.queries.list(Filter(Status.RUNNING), 1, 0).jobs
    assert (running.executor_id, running.started_at_ms) == ("executor-1", bench.clock.now_ms)


def test_reading_changes_nothing(bench: Bench) -> None:
    bench.submit(3)
    before = contents(bench.client)
    bench.queries.list(Filter(), 2, 1)
    assert contents(bench.client) == before
