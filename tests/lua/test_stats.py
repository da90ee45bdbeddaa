"""`lua/stats.lua`: all counts, from one moment."""

from __future__ import annotations

from jobqueue.job import Priority, Status
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, lose, start
from tests.support.bench import Bench
from tests.support.contents import contents


def test_an_empty_queue_counts_nothing(bench: Bench) -> None:
    stats = bench.queries.stats()
    assert set(stats.jobs) == {(status, priority) for status in Status for priority in Priority}
    assert set(stats.jobs.values()) == set(stats.oldest_pending_ms.values()) == {0}
    assert set(stats.finished.values()) == {stats.attempts_lost} == {stats.active_executors} == {0}


def test_jobs_are_counted_by_status_and_priority(bench: Bench) -> None:
    completed = start(bench, priority=Priority.BEST_EFFORT)
    bench.claims.complete(completed.job_id, completed.holder, DONE)
    failed = start(bench)
    bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    [cancelled] = bench.submit(1, Priority.BEST_EFFORT)
    bench.commands.cancel(cancelled)
    start(bench, priority=Priority.FOREGROUND)
    bench.submit(2, Priority.FOREGROUND)
    bench.submit(3, Priority.BEST_EFFORT)
    stats = bench.queries.stats()
    assert {key: count for key, count in stats.jobs.items() if count} == {
        (Status.PENDING, Priority.FOREGROUND): 2,
        (Status.PENDING, Priority.BEST_EFFORT): 3,
        (Status.RUNNING, Priority.FOREGROUND): 1,
        (Status.COMPLETED, Priority.BEST_EFFORT): 1,
        (Status.FAILED, Priority.BACKGROUND): 1,
        (Status.CANCELLED, Priority.BEST_EFFORT): 1,
    }
    assert list(stats.by_status().values()) == [5, 1, 1, 1, 1]
    assert stats.pending() == {Priority.FOREGROUND: 2, Priority.BACKGROUND: 0, Priority.BEST_EFFORT: 3}


def test_the_wait_of_the_oldest_pending_job_is_measured_by_priority(bench: Bench) -> None:
    bench.submit(1, Priority.FOREGROUND)
    bench.clock.advance(2_000)
    bench.submit(1, Priority.BACKGROUND)
    bench.clock.advance(500)
    bench.submit(1, Priority.BACKGROUND)
    waits = bench.queries.stats().oldest_pending_ms
    assert waits == {Priority.FOREGROUND: 2_500, Priority.BACKGROUND: 500, Priority.BEST_EFFORT: 0}


def test_a_wait_is_never_negative_after_a_clock_was_set_back(bench: Bench) -> None:
    bench.submit(1, Priority.FOREGROUND)
    bench.clock.advance(-2_000)
    assert bench.queries.stats().oldest_pending_ms[Priority.FOREGROUND] == 0


def test_lost_attempts_are_counted(bench: Bench) -> None:
    lose(bench)
    claim(bench, "executor-2")
    let_leases_end(bench)
    assert bench.queries.stats().attempts_lost == 2


def test_executors_are_active_until_their_time_out(bench: Bench) -> None:
    bench.claims.claim("executor-1", None)
    bench.clock.advance(1)
    bench.claims.claim("executor-2", None)
    assert bench.queries.stats().active_executors == 2
    bench.clock.advance(bench.policy.executor_timeout_ms - 1)
    assert bench.queries.stats().active_executors == 1
    bench.clock.advance(1)
    assert bench.queries.stats().active_executors == 0


def test_reading_changes_nothing(bench: Bench) -> None:
    bench.submit(2)
    claim(bench)
    before = contents(bench.client)
    bench.queries.stats()
    assert contents(bench.client) == before
