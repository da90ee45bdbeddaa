"""`lua/release.lua`: a released job is pending at its old place, and the attempt does not count as lost."""

from __future__ import annotations

import pytest

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotRunning
from jobqueue.job import Attempt, AttemptStatus, Reason, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder, LiveOutput, Piece
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.contents import contents


def refused(bench: Bench, job_id: str, holder: Holder) -> tuple[type[JobQueueError], object]:
    """Return the class and the status of the refusal, after checking that it changed nothing."""
    before = contents(bench.client)
    with pytest.raises((NotRunning, LeaseLost)) as refusal:
        bench.claims.release(job_id, holder)
    assert contents(bench.client) == before
    return type(refusal.value), refusal.value.facts["status"]


@pytest.mark.parametrize("reason", [Reason.WORKER_SHUTDOWN, None])
def test_a_released_job_is_pending_and_its_attempt_is_archived(bench: Bench, reason: Reason | None) -> None:
    attempt = start(bench)
    bench.clock.advance(1_500)
    assert bench.claims.release(attempt.job_id, attempt.holder, reason) is Status.PENDING
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.executor_id, job.started_at_ms, job.reason) == (Status.PENDING, None, None, None)
    assert list(job.attempts) == [
        Attempt("executor-1", "10.0.0.1", START_MS, START_MS + 1_500, AttemptStatus.RELEASED, reason)
    ]


def test_an_executor_without_a_token_may_release_its_job(bench: Bench) -> None:
    attempt = start(bench)
    assert bench.claims.release(attempt.job_id, attempt.without_token) is Status.PENDING


def test_a_released_job_waits_at_its_old_place(bench: Bench) -> None:
    first, second, third = (start(bench) for _ in range(3))
    for attempt in (third, first, second):
        bench.claims.release(attempt.job_id, attempt.holder)
    bench.submit()
    assert [claim(bench).job_id for _ in range(3)] == [first.job_id, second.job_id, third.job_id]


def test_a_released_lease_leaves_nothing_behind(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out")))
    bench.claims.release(attempt.job_id, attempt.holder)
    for key in (f"lease:{attempt.job_id}", f"live:{attempt.job_id}", "deadlines", "held:executor-1"):
        assert bench.client.exists(f"{ROOT}:{key}") == 0


def test_a_released_attempt_does_not_count_as_lost(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_attempts=2), bench.clock)
    job_id = lose(bench).job_id
    for _ in range(5):
        attempt = claim(bench)
        assert bench.claims.release(attempt.job_id, attempt.holder) is Status.PENDING
    assert bench.queries.stats().attempts_lost == 1
    claim(bench)
    let_leases_end(bench)
    assert status_of(bench, job_id) is Status.FAILED


def test_attempts_are_numbered_however_the_last_one_ended(bench: Bench) -> None:
    lose(bench)
    numbers = []
    for _ in range(105):
        claimed = bench.claims.claim("executor-1", None)
        assert claimed is not None
        numbers.append(claimed.attempt)
        bench.claims.release(claimed.job.id, Holder("executor-1", claimed.attempt_token))
    assert numbers == list(range(2, 107))


def test_a_released_job_remembers_its_newest_hundred_attempts(bench: Bench) -> None:
    [job_id] = bench.submit()
    for number in range(105):
        attempt = claim(bench, f"executor-{number}")
        bench.claims.release(job_id, attempt.holder)
    attempts = bench.queries.get(job_id).attempts
    assert [attempt.executor_id for attempt in attempts] == [f"executor-{number}" for number in range(5, 105)]


def test_a_release_counts_as_seen(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(1_000)
    bench.claims.release(attempt.job_id, attempt.holder)
    [executor] = bench.executors()
    assert (executor.last_heartbeat_ms, executor.current_job_id) == (bench.clock.now_ms, None)


def test_a_job_with_a_cancel_request_ends_when_it_is_released(bench: Bench) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    bench.clock.advance(10)
    assert bench.claims.release(attempt.job_id, attempt.holder, Reason.WORKER_SHUTDOWN) is Status.CANCELLED
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.completed_at_ms) == (Status.CANCELLED, Reason.CANCELLED, bench.clock.now_ms)
    [only] = job.attempts
    assert (only.status, only.reason) == (AttemptStatus.RELEASED, Reason.WORKER_SHUTDOWN)
    assert bench.queries.stats().finished[Status.CANCELLED] == 1
    assert bench.claims.claim("executor-2", None) is None


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.claims.release("no-such-job", Holder("executor-1"))
    assert contents(bench.client).names() == set()


def test_a_job_that_does_not_run_cannot_be_released(bench: Bench) -> None:
    pending, cancelled = bench.submit(2)
    bench.commands.cancel(cancelled)
    assert refused(bench, pending, Holder("executor-1")) == (NotRunning, "pending")
    assert refused(bench, cancelled, Holder("executor-1")) == (NotRunning, "cancelled")


def test_an_ended_job_cannot_be_released(bench: Bench) -> None:
    bench.claims.complete((completed := start(bench)).job_id, completed.holder, DONE)
    bench.claims.fail((failed := start(bench)).job_id, failed.holder, BROKEN)
    assert refused(bench, completed.job_id, completed.holder) == (NotRunning, "completed")
    assert refused(bench, failed.job_id, failed.holder) == (NotRunning, "failed")


def test_only_the_holder_may_release_a_job(bench: Bench) -> None:
    attempt = start(bench)
    for non_holder in (
        Holder("executor-2"),
        Holder("executor-2", attempt.holder.attempt_token),
        Holder("executor-1", "another token"),
    ):
        assert refused(bench, attempt.job_id, non_holder) == (LeaseLost, "running")


def test_a_released_job_is_no_longer_held(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.release(attempt.job_id, attempt.holder)
    assert refused(bench, attempt.job_id, attempt.holder) == (NotRunning, "pending")
    claim(bench, "executor-1")
    assert refused(bench, attempt.job_id, attempt.holder) == (LeaseLost, "running")
    with pytest.raises(LeaseLost):
        bench.claims.complete(attempt.job_id, attempt.holder, DONE)
