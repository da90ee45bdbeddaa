"""`lua/sweep.lua`: what has become due is done, up to a limit. Lost leases have a file of their own."""

from __future__ import annotations

import pytest

from jobqueue.errors import JobNotFound
from jobqueue.job import Status
from jobqueue.queue.commands import SWEEP_LIMIT, Swept
from jobqueue.queue.queries import Filter
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.contents import contents


def test_an_empty_queue_has_nothing_to_sweep(bench: Bench) -> None:
    assert bench.commands.sweep() == Swept(0, 0, 0)


def test_a_job_is_removed_when_its_retention_ends_and_not_before(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.clock.advance(bench.policy.retention_ms - 1)
    assert bench.commands.sweep().jobs_removed == 0
    assert bench.queries.get(attempt.job_id).stdout == DONE.stdout
    bench.clock.advance(1)
    assert bench.commands.sweep().jobs_removed == 1
    with pytest.raises(JobNotFound):
        bench.queries.get(attempt.job_id)


def test_a_removed_job_leaves_nothing_behind(bench: Bench) -> None:
    lost = lose(bench)
    again = claim(bench)
    bench.claims.complete(again.job_id, again.holder, DONE)
    bench.clock.advance(bench.policy.retention_ms)
    bench.commands.sweep()
    remaining = contents(bench.client)
    assert lost.job_id not in repr(remaining)
    assert remaining.names() == {f"{ROOT}:{name}" for name in ("sequence", "claims", "sweep", "counters")}
    assert bench.queries.list(Filter(), 10, 0).total == 0


def test_a_job_is_removed_whichever_way_it_ended(bench: Bench) -> None:
    [cancelled] = bench.submit()
    bench.commands.cancel(cancelled)
    failed = start(bench)
    bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    bench.clock.advance(bench.policy.retention_ms)
    assert bench.commands.sweep().jobs_removed == 2
    assert named_after_jobs(bench) == []


def named_after_jobs(bench: Bench) -> list[str]:
    return sorted(name for name in contents(bench.client).names() if ":job:" in name or ":spec:" in name)


def test_a_job_that_has_not_ended_is_never_removed(bench: Bench) -> None:
    running = start(bench)
    [pending] = bench.submit()
    bench.clock.advance(bench.policy.retention_ms * 10)
    assert bench.commands.sweep() == Swept(0, 0, 1)
    assert status_of(bench, pending) is Status.PENDING
    assert status_of(bench, running.job_id) is Status.RUNNING


def test_the_totals_outlive_the_jobs(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.clock.advance(bench.policy.retention_ms)
    bench.commands.sweep()
    assert bench.queries.stats().finished[Status.COMPLETED] == 1


def test_an_ended_entry_without_a_job_is_dropped(bench: Bench) -> None:
    bench.client.zadd(f"{ROOT}:ended", {"no-such-job": 0})
    bench.client.rpush(f"{ROOT}:endings", "5:no-such-job")
    bench.commands.sweep()
    assert bench.client.exists(f"{ROOT}:ended", f"{ROOT}:endings") == 0


def test_an_entry_of_a_job_that_ended_at_another_time_removes_nothing(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.client.lpush(f"{ROOT}:endings", f"5:{attempt.job_id}")
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.COMPLETED


def test_jobs_that_ended_under_an_older_server_are_removed(bench: Bench) -> None:
    older, newer = bench.submit(2)
    bench.commands.cancel_many([older, newer])
    entry = bench.client.lpop(f"{ROOT}:endings")
    assert entry == f"{bench.clock.now_ms}:{older}"
    bench.client.zadd(f"{ROOT}:ended", {older: bench.clock.now_ms})
    bench.clock.advance(bench.policy.retention_ms - 1)
    assert bench.commands.sweep().jobs_removed == 0
    bench.clock.advance(1)
    assert bench.commands.sweep().jobs_removed == 2
    assert named_after_jobs(bench) == []


def test_a_job_that_ended_before_the_clock_was_set_back_keeps_no_other_from_being_removed(bench: Bench) -> None:
    far_away_ms = bench.policy.retention_ms * 1000
    bench.clock.advance(far_away_ms)
    [first] = bench.submit()
    bench.commands.cancel(first)
    bench.clock.advance(-far_away_ms)
    [second] = bench.submit()
    bench.commands.cancel(second)
    bench.clock.advance(bench.policy.retention_ms)
    assert [bench.commands.sweep().jobs_removed for _ in range(2)] == [1, 0]
    assert named_after_jobs(bench) == [f"{ROOT}:{kind}:{first}" for kind in ("job", "spec")]
    bench.clock.advance(far_away_ms)
    bench.commands.sweep()
    assert named_after_jobs(bench) == []


def test_a_silent_executor_is_forgotten_with_its_count(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.clock.advance(bench.policy.executor_timeout_ms - 1)
    assert bench.commands.sweep().executors_forgotten == 0
    bench.clock.advance(1)
    assert bench.commands.sweep().executors_forgotten == 1
    bench.claims.claim("executor-1", None)
    assert bench.executors()[0].jobs_completed == 0


def test_a_sweep_ends_a_limited_number_of_leases(bench: Bench) -> None:
    bench.submit(SWEEP_LIMIT + 20)
    for _ in range(SWEEP_LIMIT + 20):
        claim(bench)
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2)
    first, second = bench.commands.sweep(), bench.commands.sweep()
    assert (first.leases_lost, first.more) == (SWEEP_LIMIT, True)
    assert (second.leases_lost, second.more) == (20, False)


def test_a_sweep_removes_a_limited_number_of_jobs(bench: Bench) -> None:
    bench.commands.cancel_many(bench.submit(SWEEP_LIMIT + 20))
    bench.clock.advance(bench.policy.retention_ms)
    first, second = bench.commands.sweep(), bench.commands.sweep()
    assert (first.jobs_removed, first.more) == (SWEEP_LIMIT, True)
    assert (second.jobs_removed, second.more) == (20, False)


def test_a_sweep_forgets_a_limited_number_of_executors(bench: Bench) -> None:
    for number in range(SWEEP_LIMIT + 20):
        bench.claims.claim(f"executor-{number}", None)
    bench.clock.advance(bench.policy.executor_timeout_ms)
    first, second = bench.commands.sweep(), bench.commands.sweep()
    assert (first.executors_forgotten, first.more) == (SWEEP_LIMIT, True)
    assert (second.executors_forgotten, second.more) == (20, False)


def test_a_clock_that_was_set_back_keeps_no_job_running_for_longer_than_a_lease(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(-bench.policy.lease_ms * 1000)
    bench.commands.sweep()
    assert bench.client.zscore(f"{ROOT}:deadlines", attempt.job_id) == bench.clock.now_ms + bench.policy.lease_ms
    let_leases_end(bench)
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_a_clock_that_was_set_back_takes_no_job_from_an_executor_that_sends_heartbeats(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(-bench.policy.lease_ms * 1000)
    bench.commands.sweep()
    for _ in range(3):
        bench.clock.advance(bench.policy.lease_ms // 2)
        bench.claims.heartbeat(attempt.job_id, attempt.holder)
        bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_all_deadlines_are_corrected_after_a_clock_was_set_back(bench: Bench) -> None:
    bench.submit(SWEEP_LIMIT + 20)
    for _ in range(SWEEP_LIMIT + 20):
        claim(bench)
    bench.clock.advance(-bench.policy.lease_ms * 1000)
    bench.commands.sweep()
    bench.commands.sweep()
    latest_ms = bench.clock.now_ms + bench.policy.lease_ms
    assert bench.client.zcount(f"{ROOT}:deadlines", latest_ms, latest_ms) == SWEEP_LIMIT + 20
