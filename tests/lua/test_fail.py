"""`lua/fail.lua`: a failure is stored once, for the attempt that holds the job, and its replay changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotRunning
from jobqueue.job import AttemptStatus, Reason, Status
from jobqueue.output import OUTPUT_LIMIT_BYTES
from jobqueue.queue.records.reports import Finished
from jobqueue.result import Holder, Result
from tests.support.attempts import BROKEN, claim, lose, start, status_of
from tests.support.bench import Bench
from tests.support.contents import contents


def refused(bench: Bench, job_id: str, holder: Holder, result: Result = BROKEN) -> tuple[type[JobQueueError], object]:
    """Return the class and the status of the refusal, after checking that it changed nothing."""
    before = contents(bench.client)
    with pytest.raises((NotRunning, LeaseLost)) as refusal:
        bench.claims.fail(job_id, holder, result)
    assert contents(bench.client) == before
    return type(refusal.value), refusal.value.facts["status"]


def test_a_failed_job_has_its_result_and_message(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(1_500)
    assert bench.claims.fail(attempt.job_id, attempt.holder, Result(1, "out", "err", "es brach ✗\0")).replayed is False
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.exit_code, job.stdout, job.stderr) == (Status.FAILED, 1, "out", "err")
    assert (job.error_message, job.completed_at_ms) == ("es brach ✗\0", bench.clock.now_ms)
    [only] = job.attempts
    assert (only.status, only.ended_at_ms) == (AttemptStatus.FAILED, bench.clock.now_ms)


def test_a_program_that_never_ran_has_no_exit_code(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, Result(None))
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.exit_code, job.error_message) == (Status.FAILED, None, None)


def test_a_program_that_never_ran_has_no_reason(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, Result(None))
    assert bench.queries.get(attempt.job_id).reason is None


def test_a_failed_job_has_its_reason(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, replace(BROKEN, reason=Reason.OOM_KILLED))
    job = bench.queries.get(attempt.job_id)
    assert (job.reason, job.attempts[0].reason) == (Reason.OOM_KILLED, Reason.OOM_KILLED)


@pytest.mark.parametrize("reason", [None, Reason.CANCELLED])
def test_a_job_that_stops_after_a_cancel_request_is_cancelled(bench: Bench, reason: Reason | None) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    result = Result(143, "out", reason=reason)
    for replayed in (False, True):
        assert bench.claims.fail(attempt.job_id, attempt.holder, result) == Finished(Status.CANCELLED, replayed)
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.cancel_requested) == (Status.CANCELLED, Reason.CANCELLED, True)
    assert (job.exit_code, job.stdout, job.completed_at_ms) == (143, "out", bench.clock.now_ms)
    [only] = job.attempts
    assert (only.status, only.reason) == (AttemptStatus.CANCELLED, Reason.CANCELLED)
    assert bench.queries.stats().finished == {Status.COMPLETED: 0, Status.FAILED: 0, Status.CANCELLED: 1}
    assert refused(bench, attempt.job_id, attempt.holder, replace(result, stdout="x")) == (NotRunning, "cancelled")


def test_a_job_that_fails_for_another_reason_despite_a_cancel_request_has_failed(bench: Bench) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    result = Result(1, reason=Reason.EXITED)
    for replayed in (False, True):
        assert bench.claims.fail(attempt.job_id, attempt.holder, result) == Finished(Status.FAILED, replayed)
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.cancel_requested) == (Status.FAILED, Reason.EXITED, True)


def test_a_job_without_a_cancel_request_cannot_end_as_cancelled(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, Result(None, reason=Reason.CANCELLED))
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.cancel_requested) == (Status.FAILED, Reason.CANCELLED, False)


def test_a_failed_job_does_not_run_again(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    assert bench.claims.claim("executor-2", None) is None


def test_an_error_message_is_cut_to_its_limit(bench: Bench) -> None:
    attempt = start(bench)
    result = Result(None, error_message="é" * OUTPUT_LIMIT_BYTES)
    bench.claims.fail(attempt.job_id, attempt.holder, result)
    assert bench.queries.get(attempt.job_id).error_message == "é" * (OUTPUT_LIMIT_BYTES // 2)
    assert bench.claims.fail(attempt.job_id, attempt.holder, result).replayed is True


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.claims.fail("no-such-job", Holder("executor-1"), BROKEN)
    assert contents(bench.client).names() == set()


def test_a_job_that_does_not_run_cannot_fail(bench: Bench) -> None:
    pending, cancelled = bench.submit(2)
    bench.commands.cancel(cancelled)
    for token in ("", "a token"):
        assert refused(bench, pending, Holder("executor-1", token)) == (NotRunning, "pending")
        assert refused(bench, cancelled, Holder("executor-1", token)) == (NotRunning, "cancelled")


def test_only_the_holder_may_fail_a_job(bench: Bench) -> None:
    attempt = start(bench)
    for non_holder in (
        Holder("executor-2"),
        Holder("executor-2", attempt.holder.attempt_token),
        Holder("executor-1", "another token"),
    ):
        assert refused(bench, attempt.job_id, non_holder) == (LeaseLost, "running")


@pytest.mark.parametrize("result", [BROKEN, Result(None), Result(1, error_message="it broke")])
def test_a_replay_of_a_failure_with_its_token_changes_nothing(bench: Bench, result: Result) -> None:
    attempt = start(bench)
    assert bench.claims.fail(attempt.job_id, attempt.holder, result).replayed is False
    bench.clock.advance(1000)
    before = contents(bench.client)
    assert bench.claims.fail(attempt.job_id, attempt.holder, result).replayed is True
    assert contents(bench.client) == before


def test_a_replay_without_the_token_is_refused(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.without_token, BROKEN)
    assert refused(bench, attempt.job_id, attempt.without_token) == (NotRunning, "failed")


@pytest.mark.parametrize(
    "change", [{"exit_code": 2}, {"exit_code": None}, {"stdout": ""}, {"stderr": "other"}, {"error_message": ""}]
)
def test_another_failure_never_replaces_the_first(bench: Bench, change: dict[str, int | str | None]) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    other = replace(BROKEN, **change)  # type: ignore[arg-type]
    assert refused(bench, attempt.job_id, attempt.holder, other) == (NotRunning, "failed")


def test_a_failed_job_cannot_be_completed(bench: Bench) -> None:
    attempt = start(bench)
    result = Result(0)
    bench.claims.fail(attempt.job_id, attempt.holder, result)
    with pytest.raises(NotRunning):
        bench.claims.complete(attempt.job_id, attempt.holder, result)
    assert status_of(bench, attempt.job_id) is Status.FAILED


def test_a_lost_attempt_s_failure_is_refused_for_ever(bench: Bench) -> None:
    lost = lose(bench)
    assert refused(bench, lost.job_id, lost.holder) == (NotRunning, "pending")
    again = claim(bench, lost.holder.executor_id)
    assert refused(bench, lost.job_id, lost.holder) == (LeaseLost, "running")
    bench.claims.fail(again.job_id, again.holder, BROKEN)
    assert refused(bench, lost.job_id, lost.holder) == (NotRunning, "failed")


def test_a_failed_job_does_not_count_as_completed(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    assert bench.executors()[0].jobs_completed == 0
    assert bench.queries.stats().finished == {Status.COMPLETED: 0, Status.FAILED: 1, Status.CANCELLED: 0}
