"""`lua/lib/leases/lose_expired_leases.lua`: what becomes of a job whose executor falls silent."""

from __future__ import annotations

import pytest

from jobqueue.job import AttemptStatus, Reason, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.scripts import ROOT
from jobqueue.result import LiveOutput, Piece
from tests.support.attempts import claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.clock import START_MS


def test_an_expired_lease_is_handed_out_again(bench: Bench) -> None:
    lost = lose(bench, "executor-1")
    assert status_of(bench, lost.job_id) is Status.PENDING
    again = claim(bench, "executor-2")
    assert again.job_id == lost.job_id
    assert again.holder.attempt_token != lost.holder.attempt_token


def test_a_lease_is_over_at_its_deadline_and_not_a_millisecond_before(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2 - 1)
    assert bench.commands.sweep().leases_lost == 0
    bench.clock.advance(1)
    assert bench.commands.sweep().leases_lost == 1
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_sweeps_of_the_timer_end_a_lease_on_time(bench: Bench) -> None:
    attempt = start(bench)
    bench.pass_time(bench.policy.lease_ms - 1)
    assert status_of(bench, attempt.job_id) is Status.RUNNING
    bench.pass_time(1)
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_a_lost_attempt_is_archived(bench: Bench) -> None:
    lost = lose(bench)
    [attempt] = bench.queries.get(lost.job_id).attempts
    assert (attempt.executor_id, attempt.executor_ip) == ("executor-1", "10.0.0.1")
    assert (attempt.started_at_ms, attempt.ended_at_ms) == (START_MS, bench.clock.now_ms)
    assert (attempt.status, attempt.reason) == (AttemptStatus.LOST, Reason.LEASE_LOST)
    assert bench.queries.stats().attempts_lost == 1


def test_an_unknown_address_of_a_lost_attempt_stays_unknown(bench: Bench) -> None:
    [job_id] = bench.submit()
    bench.claims.claim("executor-1", None)
    let_leases_end(bench)
    assert bench.queries.get(job_id).attempts[0].executor_ip is None


def test_a_lost_lease_leaves_nothing_behind(bench: Bench) -> None:
    lost = lose(bench)
    for key in (f"lease:{lost.job_id}", f"live:{lost.job_id}", "deadlines", "held:executor-1"):
        assert bench.client.exists(f"{ROOT}:{key}") == 0
    assert bench.executors()[0].current_job_id is None


def test_a_vanished_lease_key_does_not_cost_the_lease(bench: Bench) -> None:
    attempt = start(bench)
    bench.client.delete(f"{ROOT}:lease:{attempt.job_id}")
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_a_job_is_given_up_after_as_many_lost_executors_as_it_may_lose(bench: Bench) -> None:
    [job_id] = bench.submit()
    for number in range(bench.policy.max_attempts):
        assert claim(bench, f"executor-{number}").job_id == job_id
        let_leases_end(bench)
    job = bench.queries.get(job_id)
    assert (job.status, job.completed_at_ms, job.exit_code) == (Status.FAILED, bench.clock.now_ms, None)
    assert job.reason is Reason.LEASE_LOST
    assert [attempt.status for attempt in job.attempts] == [AttemptStatus.LOST] * 3
    assert job.error_message is not None
    assert all(fact in job.error_message for fact in ("lost 3", "at most 3", "executor-2", "60 seconds"))
    assert bench.queries.stats().finished[Status.FAILED] == 1


def test_a_job_that_was_given_up_is_never_handed_out(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_attempts=1), bench.clock)
    lost = lose(bench)
    assert status_of(bench, lost.job_id) is Status.FAILED
    assert bench.claims.claim("executor-2", None) is None


@pytest.mark.parametrize("max_attempts", [1, 3])
@pytest.mark.parametrize("script", ["sweep", "claim"])
def test_a_lost_job_with_a_cancel_request_is_cancelled_and_not_handed_out(
    bench: Bench, script: str, max_attempts: int
) -> None:
    bench = Bench(bench.client, Policy(max_attempts=max_attempts), bench.clock)
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out")))
    if script == "sweep":
        let_leases_end(bench)
    else:
        for _ in range(3):
            assert bench.claims.claim("executor-2", None) is None
            bench.clock.advance(bench.policy.lease_ms // 2)
    assert bench.claims.claim("executor-2", None) is None
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.executor_id) == (Status.CANCELLED, Reason.CANCELLED, "executor-1")
    assert (job.error_message, job.cancel_requested, job.completed_at_ms is None) == (None, True, False)
    [only] = job.attempts
    assert (only.status, only.reason) == (AttemptStatus.LOST, Reason.LEASE_LOST)
    assert bench.queries.stats().finished == {Status.COMPLETED: 0, Status.FAILED: 0, Status.CANCELLED: 1}
    assert bench.queries.stats().attempts_lost == 1


def test_a_silence_with_half_a_second_is_reported_exactly(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(lease_ms=2_500, max_attempts=1), bench.clock)
    message = bench.queries.get(lose(bench).job_id).error_message
    assert message is not None
    assert " 2.5 seconds" in message


def test_a_job_with_a_hundred_lost_attempts_remembers_the_newest_hundred(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_attempts=1000), bench.clock)
    [job_id] = bench.submit()
    for number in range(105):
        claim(bench, f"executor-{number}")
        let_leases_end(bench)
    attempts = bench.queries.get(job_id).attempts
    assert [attempt.executor_id for attempt in attempts] == [f"executor-{number}" for number in range(5, 105)]
    assert status_of(bench, job_id) is Status.PENDING


def test_every_lost_job_is_requeued_and_no_other(bench: Bench) -> None:
    silent = [start(bench, "executor-1"), start(bench, "executor-1")]
    seen = start(bench, "executor-2")
    bench.commands.sweep()
    for _ in range(2):
        bench.clock.advance(bench.policy.lease_ms // 2)
        bench.claims.heartbeat(seen.job_id, seen.holder)
        bench.commands.sweep()
    assert [status_of(bench, attempt.job_id) for attempt in silent] == [Status.PENDING] * 2
    assert status_of(bench, seen.job_id) is Status.RUNNING


def test_sweeping_again_changes_nothing(bench: Bench) -> None:
    lost = lose(bench)
    before = bench.queries.get(lost.job_id)
    assert bench.commands.sweep().leases_lost == 0
    assert bench.queries.get(lost.job_id) == before


@pytest.mark.parametrize("job", ["no-such-job", "a pending job"])
def test_a_deadline_without_a_running_job_is_dropped(bench: Bench, job: str) -> None:
    job_id = bench.submit()[0] if job == "a pending job" else job
    bench.client.zadd(f"{ROOT}:deadlines", {job_id: 0})
    bench.commands.sweep()
    assert bench.client.exists(f"{ROOT}:deadlines") == 0
    assert bench.queries.stats().attempts_lost == 0
