"""`lua/get.lua`: everything about a job, at every stage of its life."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobqueue.errors import JobNotFound
from jobqueue.job import Attempt, AttemptStatus, Job, Measured, Reason, Spec, Status
from tests.support.attempts import DONE, claim, lose
from tests.support.bench import SHA256, Bench
from tests.support.clock import START_MS
from tests.support.contents import contents


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.queries.get("no-such-job")


def test_a_job_has_the_spec_it_was_submitted_with(bench: Bench) -> None:
    [job_id] = bench.submit()
    job = bench.queries.get(job_id)
    assert job.id == job_id
    assert job.spec == Spec("http://127.0.0.1:1/program", SHA256, ["one", "two"], {"KEY": "value"})


def test_attempts_are_ordered_oldest_first_and_the_running_one_last(bench: Bench) -> None:
    lost = lose(bench, "executor-1")
    lost_at_ms = bench.clock.now_ms
    bench.clock.advance(10)
    claim(bench, "executor-2")
    assert list(bench.queries.get(lost.job_id).attempts) == [
        Attempt("executor-1", "10.0.0.1", START_MS, lost_at_ms, AttemptStatus.LOST, Reason.LEASE_LOST),
        Attempt("executor-2", "10.0.0.1", lost_at_ms + 10, None, AttemptStatus.RUNNING),
    ]


def test_a_running_job_has_no_reason_and_no_measured_fields(bench: Bench) -> None:
    [job_id] = bench.submit()
    claim(bench)
    job = bench.queries.get(job_id)
    assert (job.reason, job.attempts[0].reason, job.measured, job.cancel_requested) == (None, None, Measured(), False)


def test_a_lost_job_has_no_executor_until_it_runs_again(bench: Bench) -> None:
    job = bench.queries.get(lose(bench).job_id)
    assert (job.status, job.executor_id, job.started_at_ms) == (Status.PENDING, None, None)
    assert [attempt.status for attempt in job.attempts] == [AttemptStatus.LOST]


def test_a_job_that_was_lost_and_then_completed_has_both_attempts(bench: Bench) -> None:
    lost = lose(bench)
    again = claim(bench, "executor-2")
    bench.claims.complete(again.job_id, again.holder, DONE)
    job = bench.queries.get(lost.job_id)
    assert [attempt.status for attempt in job.attempts] == [AttemptStatus.LOST, AttemptStatus.COMPLETED]
    assert (job.executor_id, job.started_at_ms) == ("executor-2", bench.clock.now_ms)


def test_the_token_of_an_attempt_is_not_part_of_a_job(bench: Bench) -> None:
    bench.submit()
    attempt = claim(bench)
    assert "attempt_token" not in {field.name for field in fields(Job)}
    assert attempt.holder.attempt_token not in repr(bench.queries.get(attempt.job_id))


def test_reading_changes_nothing(bench: Bench) -> None:
    lost = lose(bench)
    before = contents(bench.client)
    bench.queries.get(lost.job_id)
    assert contents(bench.client) == before
