"""`lua/claim.lua` after host faults: a job is offered first to executors that have not released it."""

from __future__ import annotations

import pytest

from jobqueue.job import Priority
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.policy import Policy
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import DONE, claim
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.host_faults import claimed_by, fault, faulted


def test_a_job_is_not_offered_again_to_an_executor_that_released_it_while_another_asks(bench: Bench) -> None:
    job_id = faulted(bench)
    [younger] = bench.submit(1, Priority.BEST_EFFORT)
    bench.pass_time(5_000)
    bench.client.zadd(f"{ROOT}:askers", {"executor-2": bench.clock.now_ms})
    assert claimed_by(bench, "executor-1") == younger
    assert claimed_by(bench, "executor-1") is None
    assert claimed_by(bench, "executor-2") == job_id


def test_without_another_asker_the_same_executor_gets_the_job_again(bench: Bench) -> None:
    job_id = faulted(bench)
    claimed_by(bench, "executor-2")
    bench.pass_time(9_999)
    assert claimed_by(bench, "executor-1") is None
    bench.pass_time(1)
    assert claimed_by(bench, "executor-1") == job_id


def test_executors_that_released_a_job_do_not_keep_it_from_each_other(bench: Bench) -> None:
    job_id = faulted(bench, "executor-1")
    bench.pass_time(5_000)
    fault(bench, claim(bench, "executor-2"))
    bench.pass_time(10_000)
    for number in (1, 2):
        bench.client.zadd(f"{ROOT}:askers", {f"executor-{number}": bench.clock.now_ms})
    assert claimed_by(bench, "executor-1") == job_id


def test_a_job_is_kept_for_others_for_five_minutes_at_most(bench: Bench) -> None:
    job_id = faulted(bench)
    bench.pass_time(5_000)
    for _ in range(6):
        bench.client.zadd(f"{ROOT}:askers", {"executor-2": bench.clock.now_ms})  # always busy with other jobs
        assert claimed_by(bench, "executor-1") is None
        bench.clock.advance(50_000)
    bench.client.zadd(f"{ROOT}:askers", {"executor-2": bench.clock.now_ms})
    assert claimed_by(bench, "executor-1") == job_id


@pytest.mark.parametrize("others", [49, 50, 120])
def test_an_executor_gets_a_job_behind_many_that_are_kept_for_others(real_bench: Bench, others: int) -> None:
    real_bench.submit(others)
    for attempt in [claim(real_bench) for _ in range(others)]:
        fault(real_bench, attempt)
    behind = real_bench.submit(200)
    real_bench.pass_time(5_000)
    real_bench.client.zadd(f"{ROOT}:askers", {"executor-2": real_bench.clock.now_ms})
    job_id = claimed_by(real_bench, "executor-1")
    assert job_id in behind
    if others < 50:
        assert job_id == behind[0]


def test_a_claim_looks_at_a_limited_number_of_jobs_that_are_kept_for_others(real_bench: Bench) -> None:
    real_bench.submit(400)
    for attempt in [claim(real_bench) for _ in range(400)]:
        fault(real_bench, attempt)
    real_bench.pass_time(5_000)
    real_bench.client.zadd(f"{ROOT}:askers", {"executor-2": real_bench.clock.now_ms})
    several = ClaimRequest("executor-1", None, 100, types=("demo", "other"))
    for claim_as_wanted in (
        lambda: claimed_by(real_bench, "executor-1"),
        lambda: real_bench.claims.claim_many(several).jobs,
    ):
        before = int(real_bench.client.info("commandstats")["cmdstat_hmget"]["calls"])
        assert not claim_as_wanted()
        assert int(real_bench.client.info("commandstats")["cmdstat_hmget"]["calls"]) - before < 100


def test_who_asks_is_remembered_of_a_thousand_executors_at_most(bench: Bench) -> None:
    bench.client.zadd(f"{ROOT}:askers", {f"executor-{number}": START_MS - number for number in range(1_003)})
    claimed_by(bench, "another")
    assert bench.client.zcard(f"{ROOT}:askers") == 1_001
    assert bench.client.zscore(f"{ROOT}:askers", "executor-1002") is None
    claimed_by(bench, "yet another")
    assert bench.client.zcard(f"{ROOT}:askers") == 1_000
    bench.clock.advance(10_000)
    for _ in range(10):
        bench.commands.sweep()
    assert bench.client.exists(f"{ROOT}:askers") == 0


def test_a_job_remembers_ten_of_the_executors_that_released_it(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_host_faults=1000), bench.clock)
    job_id = faulted(bench, "executor-0")
    for number in [*range(1, 13), 12]:
        bench.clock.advance(300_000)
        fault(bench, claim(bench, f"executor-{number}"))
    released_by = str(bench.client.hget(f"{ROOT}:job:{job_id}", "released_by"))
    assert released_by.split() == [f"executor-{number}" for number in range(12, 2, -1)]


def test_a_job_that_has_ended_remembers_nobody(bench: Bench) -> None:
    job_id = faulted(bench)
    bench.pass_time(5_000)
    attempt = claim(bench, "executor-2")
    bench.claims.complete(job_id, attempt.holder, DONE)
    assert bench.client.hmget(f"{ROOT}:job:{job_id}", "released_by", "others_first_until_ms") == [None, None]
