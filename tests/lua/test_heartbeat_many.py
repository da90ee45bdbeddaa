"""`lua/heartbeat.lua` for all jobs of an executor: what each gets, and which were never received."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from jobqueue import logs
from jobqueue.errors import JobNotFound, NotHeld
from jobqueue.job import AttemptStatus, Priority, Status, Stream
from jobqueue.queue.claims import Beat, ClaimRequest, Renewed
from jobqueue.result import Holder, LiveOutput, Piece
from tests.support.attempts import DONE, Attempt, claim, start, status_of
from tests.support.bench import Bench

RECEIVED_WITHIN_MS = 10_000


def beat(attempt: Attempt, output: LiveOutput | None = None) -> Beat:
    """Return what a heartbeat says about an attempt."""
    return Beat(attempt.job_id, attempt.holder.attempt_token, output or LiveOutput())


def test_each_job_of_a_heartbeat_is_answered_for_itself(bench: Bench) -> None:
    held, other, stopped = start(bench), start(bench, "executor-2"), start(bench)
    bench.commands.cancel(stopped.job_id, force=True)
    beats = [Beat("?", "a token"), beat(other), beat(stopped), Beat(held.job_id, "made up"), beat(held)]
    answers = bench.claims.heartbeat_many("executor-1", beats)
    assert [type(answer) for answer in answers] == [JobNotFound, NotHeld, Renewed, NotHeld, Renewed]
    assert [answers[2], answers[4]] == [Renewed(bench.policy.lease_ms, True), Renewed(bench.policy.lease_ms, False)]


def test_a_heartbeat_renews_the_leases_of_a_thousand_jobs(real_bench: Bench) -> None:
    bench = real_bench
    bench.submit(1_000)
    attempts = [
        Attempt(each.job.id, Holder("executor-1", each.attempt_token))
        for _ in range(10)
        for each in bench.claims.claim_many(ClaimRequest("executor-1", max_jobs=100)).jobs
    ]
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    answers = bench.claims.heartbeat_many("executor-1", [beat(attempt) for attempt in attempts])
    assert answers == [Renewed(bench.policy.lease_ms, False)] * 1_000
    bench.clock.advance(bench.policy.lease_ms // 2)
    assert bench.commands.sweep().leases_lost == 0


def test_the_output_of_every_job_is_kept(bench: Bench) -> None:
    first, second = start(bench), start(bench)
    bench.claims.heartbeat_many(
        "executor-1",
        [beat(first, LiveOutput(Piece(0, "one"))), beat(second, LiveOutput(Piece(0, "two"), Piece(0, "err")))],
    )
    assert bench.queries.output(first.job_id, Stream.STDOUT, 0).part.data == "one"
    assert bench.queries.output(second.job_id, Stream.STDERR, 0).part.data == "err"


def test_a_job_that_was_never_named_is_pending_again_at_its_old_place(bench: Bench) -> None:
    missed, received = start(bench), start(bench)
    younger = bench.submit()
    bench.clock.advance(RECEIVED_WITHIN_MS)
    bench.claims.heartbeat_many("executor-1", [beat(received)])
    assert status_of(bench, missed.job_id) is Status.RUNNING
    bench.clock.advance(1)
    bench.claims.heartbeat_many("executor-1", [beat(received)])
    job = bench.queries.get(missed.job_id)
    assert job.status is Status.PENDING
    [attempt] = job.attempts
    assert (attempt.status, attempt.reason) == (AttemptStatus.RELEASED, None)
    assert "never received" in str(attempt.error_message)
    assert bench.queries.stats().never_received == 1
    assert bench.queries.stats().attempts_lost == 0
    assert [claim(bench, "executor-2").job_id for _ in range(2)] == [missed.job_id, *younger]


def test_jobs_that_were_never_received_never_use_up_the_attempts_of_a_job(bench: Bench) -> None:
    [job_id] = bench.submit()
    for _ in range(2 * bench.policy.max_attempts):
        assert claim(bench).job_id == job_id
        bench.clock.advance(RECEIVED_WITHIN_MS + 1)
        bench.claims.heartbeat_many("executor-1", [])
        assert status_of(bench, job_id) is Status.PENDING


def test_one_heartbeat_takes_back_hundreds_of_jobs(real_bench: Bench) -> None:
    bench = real_bench
    bench.submit(250)
    for _ in range(3):
        bench.claims.claim_many(ClaimRequest("executor-1", max_jobs=100))
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat_many("executor-1", [])
    assert bench.queries.stats().jobs[Status.PENDING, Priority.BACKGROUND] == 250
    assert bench.queries.stats().never_received == 250


def test_a_job_that_was_never_received_ends_if_it_was_asked_to_stop(bench: Bench) -> None:
    missed = start(bench)
    bench.commands.cancel(missed.job_id, force=True)
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, missed.job_id) is Status.CANCELLED


@pytest.mark.parametrize("of_one", [True, False])
def test_a_job_that_was_named_once_is_not_taken_back(bench: Bench, of_one: bool) -> None:
    attempt = start(bench)
    if of_one:
        bench.claims.heartbeat(attempt.job_id, attempt.holder)
    else:
        bench.claims.heartbeat_many("executor-1", [beat(attempt)])
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_a_repeated_claim_has_ten_seconds_of_its_own(bench: Bench) -> None:
    [job_id] = bench.submit()
    for advance_ms in (0, 9_000, 9_000):
        bench.clock.advance(advance_ms)
        bench.claims.claim_many(ClaimRequest("executor-1", claim_id="a name"))
    bench.clock.advance(RECEIVED_WITHIN_MS)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, job_id) is Status.RUNNING
    bench.clock.advance(1)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, job_id) is Status.PENDING


def test_heartbeats_for_one_job_take_nothing_back(bench: Bench) -> None:
    silent, attempt = start(bench), start(bench)
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    assert status_of(bench, silent.job_id) is Status.RUNNING


def test_the_jobs_of_other_executors_are_not_taken_back(bench: Bench) -> None:
    attempt = start(bench, "executor-2")
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_a_job_that_ended_is_not_taken_back(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    bench.claims.heartbeat_many("executor-1", [])
    assert status_of(bench, attempt.job_id) is Status.COMPLETED


def test_a_heartbeat_without_jobs_counts_as_seen(bench: Bench) -> None:
    bench.claims.heartbeat_many("executor-1", [])
    assert [executor.executor_id for executor in bench.executors()] == ["executor-1"]


def test_what_is_taken_back_is_logged(bench: Bench) -> None:
    missed = start(bench)
    bench.clock.advance(RECEIVED_WITHIN_MS + 1)
    logs.flush()
    with capture_logs() as logged:
        bench.claims.heartbeat_many("executor-1", [])
    [event] = logged
    assert (event["event"], event["log_level"], event["job_ids"]) == ("never_received", "warning", missed.job_id)
