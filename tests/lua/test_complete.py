"""`lua/complete.lua`: a result is stored once, for the attempt that holds the job, and its replay changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotRunning
from jobqueue.job import AttemptStatus, Measured, Reason, Status
from jobqueue.output import OUTPUT_LIMIT_BYTES
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Executor
from jobqueue.queue.records.reports import Finished
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder, LiveOutput, Piece, Result
from tests.support.attempts import DONE, claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.contents import contents


def refused(bench: Bench, job_id: str, holder: Holder, result: Result = DONE) -> tuple[type[JobQueueError], object]:
    """Return the class and the status of the refusal, after checking that it changed nothing."""
    before = contents(bench.client)
    with pytest.raises((NotRunning, LeaseLost)) as refusal:
        bench.claims.complete(job_id, holder, result)
    assert contents(bench.client) == before
    return type(refusal.value), refusal.value.facts["status"]


def test_a_completed_job_has_its_result(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(1_500)
    assert bench.claims.complete(attempt.job_id, attempt.holder, Result(3, "out", "err")).replayed is False
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.exit_code, job.stdout, job.stderr) == (Status.COMPLETED, 3, "out", "err")
    assert (job.executor_id, job.completed_at_ms, job.error_message) == ("executor-1", bench.clock.now_ms, None)
    [only] = job.attempts
    assert (only.status, only.ended_at_ms) == (AttemptStatus.COMPLETED, bench.clock.now_ms)


@pytest.mark.parametrize("exit_code", [0, 1, 137, -1, 2**31 - 1, -(2**31)])
def test_every_exit_code_survives(bench: Bench, exit_code: int) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(exit_code))
    assert bench.queries.get(attempt.job_id).exit_code == exit_code


def test_every_character_of_an_output_survives(bench: Bench) -> None:
    hostile = '\0 é 漢 🎉 \r\n \u2028 " \\ %s \x1b[0m'
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(0, hostile, hostile[::-1]))
    job = bench.queries.get(attempt.job_id)
    assert (job.stdout, job.stderr) == (hostile, hostile[::-1])


def test_an_output_is_cut_to_its_limit(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(0, "é" * OUTPUT_LIMIT_BYTES, "x" * 2_000_000))
    job = bench.queries.get(attempt.job_id)
    assert job.stdout == "é" * (OUTPUT_LIMIT_BYTES // 2)
    assert job.stderr == "x" * OUTPUT_LIMIT_BYTES


def test_no_output_takes_no_field(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(0))
    stored = bench.client.hkeys(f"{ROOT}:job:{attempt.job_id}")
    assert "measured" in stored
    assert not {"stdout", "stderr", "error_message"} & {*stored}


def test_measured_fields_are_stored_and_missing_byte_counts_are_counted(bench: Bench) -> None:
    attempt = start(bench)
    reported = Measured(signal="SIGKILL", stdout_bytes=7, user_cpu_seconds=0.25, program_started_at_ms=5)
    result = Result(0, "out", "é", reason=Reason.SIGNALLED, measured=reported)
    bench.claims.complete(attempt.job_id, attempt.holder, result)
    job = bench.queries.get(attempt.job_id)
    assert (job.reason, job.measured) == (Reason.SIGNALLED, replace(reported, stderr_bytes=2))
    assert job.attempts[0].reason is Reason.SIGNALLED


def test_an_output_that_the_server_cuts_is_marked_as_truncated(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(0, "é" * OUTPUT_LIMIT_BYTES, "x"))
    measured = bench.queries.get(attempt.job_id).measured
    assert (measured.stdout_bytes, measured.stdout_truncated) == (2 * OUTPUT_LIMIT_BYTES, True)
    assert (measured.stderr_bytes, measured.stderr_truncated) == (1, False)


def test_a_program_with_an_exit_code_and_no_reason_has_exited(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert bench.queries.get(attempt.job_id).reason is Reason.EXITED


def test_a_job_that_completes_despite_a_cancel_request_is_completed(bench: Bench) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    for replayed in (False, True):
        finished = bench.claims.complete(attempt.job_id, attempt.holder, DONE)
        assert finished == Finished(Status.COMPLETED, replayed)
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.reason, job.cancel_requested) == (Status.COMPLETED, Reason.EXITED, True)
    assert bench.executors()[0].jobs_completed == 1


def test_live_output_is_replaced_by_the_stored_output(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "latest")))
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert bench.client.exists(f"{ROOT}:live:{attempt.job_id}") == 0


def test_a_late_result_is_accepted_until_the_lease_is_ended(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(bench.policy.lease_ms * 2)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert status_of(bench, attempt.job_id) is Status.COMPLETED


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.claims.complete("no-such-job", Holder("executor-1"), DONE)
    assert contents(bench.client).names() == set()


def test_a_job_that_does_not_run_cannot_be_completed(bench: Bench) -> None:
    pending, cancelled = bench.submit(2)
    bench.commands.cancel(cancelled)
    for token in ("", "a token"):
        assert refused(bench, pending, Holder("executor-1", token)) == (NotRunning, "pending")
        assert refused(bench, cancelled, Holder("executor-1", token)) == (NotRunning, "cancelled")


def test_only_the_holder_may_complete_a_job(bench: Bench) -> None:
    attempt = start(bench)
    for non_holder in (
        Holder("executor-2"),
        Holder("executor-2", attempt.holder.attempt_token),
        Holder("executor-1", "another token"),
    ):
        assert refused(bench, attempt.job_id, non_holder) == (LeaseLost, "running")


def test_a_replay_of_a_result_with_its_token_changes_nothing(bench: Bench) -> None:
    attempt = start(bench)
    assert bench.claims.complete(attempt.job_id, attempt.holder, DONE).replayed is False
    bench.clock.advance(1000)
    before = contents(bench.client)
    assert bench.claims.complete(attempt.job_id, attempt.holder, DONE).replayed is True
    assert contents(bench.client) == before


def test_a_result_that_was_cut_can_be_replayed(bench: Bench) -> None:
    attempt = start(bench)
    result = Result(0, "é" * OUTPUT_LIMIT_BYTES)
    assert bench.claims.complete(attempt.job_id, attempt.holder, result).replayed is False
    assert bench.claims.complete(attempt.job_id, attempt.holder, result).replayed is True


def test_a_replay_without_the_token_is_refused(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert refused(bench, attempt.job_id, attempt.without_token) == (NotRunning, "completed")


@pytest.mark.parametrize(
    "change",
    [
        {"exit_code": 1},
        {"stdout": "other"},
        {"stderr": ""},
        {"reason": Reason.TIMEOUT},
        {"measured": Measured(stdout_bytes=4)},
        {"measured": Measured(peak_memory_bytes=0)},
    ],
)
def test_another_result_never_replaces_the_first(bench: Bench, change: dict[str, Any]) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    other = replace(DONE, **change)
    assert refused(bench, attempt.job_id, attempt.holder, other) == (NotRunning, "completed")


def test_a_completed_job_cannot_fail(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    before = contents(bench.client)
    with pytest.raises(NotRunning):
        bench.claims.fail(attempt.job_id, attempt.holder, DONE)
    assert contents(bench.client) == before


def test_a_lost_attempt_s_result_is_refused_for_ever(bench: Bench) -> None:
    lost = lose(bench)
    assert refused(bench, lost.job_id, lost.holder) == (NotRunning, "pending")
    again = claim(bench, lost.holder.executor_id)
    assert refused(bench, lost.job_id, lost.holder) == (LeaseLost, "running")
    bench.claims.complete(again.job_id, again.holder, DONE)
    assert refused(bench, lost.job_id, lost.holder) == (NotRunning, "completed")


def test_a_lost_last_attempt_is_refused_for_ever(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_attempts=1), bench.clock)
    lost = lose(bench)
    assert refused(bench, lost.job_id, lost.holder) == (NotRunning, "failed")


def test_an_executor_without_a_token_is_identified_by_its_id(bench: Bench) -> None:
    lost = lose(bench)
    again = claim(bench, lost.holder.executor_id)
    assert bench.claims.complete(again.job_id, lost.without_token, DONE).replayed is False
    assert status_of(bench, again.job_id) is Status.COMPLETED


def test_a_completed_job_is_counted_once_for_its_executor(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    refused(bench, attempt.job_id, attempt.without_token)
    assert list(bench.executors()) == [Executor("executor-1", bench.clock.now_ms, 1, None, None)]
    assert bench.queries.stats().finished[Status.COMPLETED] == 1


def test_a_completed_job_is_never_lost(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    let_leases_end(bench)
    assert status_of(bench, attempt.job_id) is Status.COMPLETED
    assert bench.queries.stats().attempts_lost == 0
