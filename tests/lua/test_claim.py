"""`lua/claim.lua`: which executor gets which job, and what the claim stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from jobqueue.job import AttemptStatus, Priority, Status
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import DONE, claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.clock import START_MS


def test_a_claim_from_an_empty_queue_returns_nothing(bench: Bench) -> None:
    assert bench.claims.claim("executor-1", None) is None


def test_a_claimed_job_runs_under_its_executor(bench: Bench) -> None:
    [job_id] = bench.submit()
    bench.clock.advance(5)
    claimed = bench.claims.claim("executor-1", "10.0.0.1")
    assert claimed is not None
    assert claimed.job == bench.queries.get(job_id)
    assert (claimed.job.status, claimed.job.executor_id) == (Status.RUNNING, "executor-1")
    assert (claimed.job.started_at_ms, claimed.job.completed_at_ms) == (START_MS + 5, None)
    [attempt] = claimed.job.attempts
    assert (attempt.executor_id, attempt.executor_ip) == ("executor-1", "10.0.0.1")
    assert (attempt.started_at_ms, attempt.ended_at_ms) == (START_MS + 5, None)
    assert attempt.status is AttemptStatus.RUNNING


def test_an_unknown_address_stays_unknown(bench: Bench) -> None:
    bench.submit()
    claimed = bench.claims.claim("executor-1", None)
    assert claimed is not None
    assert claimed.job.attempts[0].executor_ip is None


def test_a_claim_makes_a_lease_that_ends_by_itself(bench: Bench) -> None:
    attempt = start(bench)
    assert bench.client.get(f"{ROOT}:lease:{attempt.job_id}") == attempt.holder.attempt_token
    assert 0 < bench.client.pttl(f"{ROOT}:lease:{attempt.job_id}") <= bench.policy.lease_ms
    assert bench.client.zscore(f"{ROOT}:deadlines", attempt.job_id) == START_MS + bench.policy.lease_ms


def test_a_claim_returns_the_number_of_the_attempt(bench: Bench) -> None:
    bench.submit()
    for number in (1, 2):
        claimed = bench.claims.claim("executor-1", None)
        assert claimed is not None
        assert claimed.attempt == number
        let_leases_end(bench)


def test_urgent_jobs_come_first_however_late_they_were_submitted(bench: Bench) -> None:
    [best_effort] = bench.submit(1, Priority.BEST_EFFORT)
    [background] = bench.submit(1, Priority.BACKGROUND)
    [foreground] = bench.submit(1, Priority.FOREGROUND)
    assert [claim(bench).job_id for _ in range(3)] == [foreground, background, best_effort]


def test_jobs_of_one_priority_come_in_the_order_they_were_submitted(bench: Bench) -> None:
    one_by_one = [job_id for _ in range(3) for job_id in bench.submit()]
    at_once = bench.submit(3)
    assert [claim(bench).job_id for _ in range(6)] == [*one_by_one, *at_once]


def test_a_lost_job_is_requeued_at_its_old_place(bench: Bench) -> None:
    lost = lose(bench)
    bench.submit(1)
    assert claim(bench, "executor-2").job_id == lost.job_id


def test_a_lost_job_stays_behind_those_that_were_submitted_before_it(bench: Bench) -> None:
    [first, second, third] = bench.submit(3)
    claim(bench)
    claim(bench)
    let_leases_end(bench)
    assert [claim(bench).job_id for _ in range(3)] == [first, second, third]


def test_one_executor_may_hold_several_jobs_each_with_a_token_of_its_own(bench: Bench) -> None:
    one, other = start(bench), start(bench)
    assert one.job_id != other.job_id
    assert one.holder.attempt_token != other.holder.attempt_token
    assert status_of(bench, one.job_id) == status_of(bench, other.job_id) == Status.RUNNING


def test_a_claim_ends_an_expired_lease_before_any_sweep(bench: Bench) -> None:
    attempt = start(bench)
    for _ in range(2):
        assert bench.claims.claim("executor-2", None) is None
        bench.clock.advance(bench.policy.lease_ms // 2)
    assert claim(bench, "executor-2").job_id == attempt.job_id


def test_a_claim_ends_ten_leases_at_most(bench: Bench) -> None:
    bench.submit(12)
    for _ in range(12):
        claim(bench)
    bench.clock.advance(bench.policy.lease_ms // 2)
    assert bench.claims.claim("executor-2", None) is None
    bench.clock.advance(bench.policy.lease_ms // 2)
    claim(bench, "executor-2")
    counts = bench.queries.stats().by_status()
    assert (counts[Status.PENDING], counts[Status.RUNNING]) == (9, 3)


def test_an_entry_without_a_pending_job_behind_it_is_dropped(bench: Bench) -> None:
    ended = start(bench)
    bench.claims.complete(ended.job_id, ended.holder, DONE)
    queue = f"{ROOT}:jobs:pending:background"
    bench.client.zadd(queue, {"no-such-job": 0, ended.job_id: 0.5})
    [job_id] = bench.submit()
    assert claim(bench).job_id == job_id
    assert bench.client.zcard(queue) == 0
    assert status_of(bench, ended.job_id) is Status.COMPLETED


def test_a_claim_drops_fifty_such_entries_at_most(bench: Bench) -> None:
    bench.client.zadd(f"{ROOT}:jobs:pending:background", {f"no-such-job-{number}": 0 for number in range(60)})
    [job_id] = bench.submit()
    assert bench.claims.claim("executor-1", None) is None
    assert claim(bench).job_id == job_id


def test_no_job_is_handed_out_twice_to_a_crowd(real_bench: Bench) -> None:
    job_ids = real_bench.submit(200)
    with ThreadPoolExecutor(8) as crowd:
        claimed = list(crowd.map(lambda number: claim(real_bench, f"executor-{number % 8}").job_id, range(200)))
    assert sorted(claimed) == sorted(job_ids)
    assert real_bench.claims.claim("executor-1", None) is None
