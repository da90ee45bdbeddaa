"""`lua/cancel.lua`: a pending job is cancelled; a running job is asked to stop, with force; nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobqueue.errors import JobNotFound, NotPending
from jobqueue.job import Reason, Status
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import BROKEN, DONE, claim, lose, start, status_of
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.contents import contents


def refused(bench: Bench, job_id: str, force: bool = False) -> object:
    """Return the status in the refusal, after checking that it changed nothing."""
    before = contents(bench.client)
    with pytest.raises(NotPending) as refusal:
        bench.commands.cancel(job_id, force)
    assert contents(bench.client) == before
    return refusal.value.facts["status"]


def test_a_cancelled_job_has_ended(bench: Bench) -> None:
    [job_id] = bench.submit()
    bench.clock.advance(1_500)
    bench.commands.cancel(job_id)
    job = bench.queries.get(job_id)
    assert (job.status, job.completed_at_ms) == (Status.CANCELLED, bench.clock.now_ms)
    assert (job.executor_id, list(job.attempts)) == (None, [])
    assert (job.reason, job.cancel_requested) == (Reason.CANCELLED, False)
    assert bench.queries.stats().finished[Status.CANCELLED] == 1


def test_a_cancelled_job_is_never_handed_out(bench: Bench) -> None:
    first, second = bench.submit(2)
    bench.commands.cancel(first)
    assert claim(bench).job_id == second
    assert bench.claims.claim("executor-1", None) is None


def test_a_requeued_job_can_be_cancelled_and_keeps_its_attempts(bench: Bench) -> None:
    lost = lose(bench)
    bench.commands.cancel(lost.job_id)
    job = bench.queries.get(lost.job_id)
    assert (job.status, [attempt.status for attempt in job.attempts]) == (Status.CANCELLED, ["lost"])


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.commands.cancel("no-such-job")
    assert contents(bench.client).names() == set()


def test_a_running_job_cannot_be_cancelled(bench: Bench) -> None:
    assert refused(bench, start(bench).job_id) == "running"


def test_an_ended_job_cannot_be_cancelled(bench: Bench) -> None:
    completed = start(bench)
    bench.claims.complete(completed.job_id, completed.holder, DONE)
    failed = start(bench)
    bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    [cancelled] = bench.submit()
    bench.commands.cancel(cancelled)
    assert refused(bench, completed.job_id) == "completed"
    assert refused(bench, failed.job_id) == "failed"
    assert refused(bench, cancelled) == "cancelled"


def test_force_cancels_a_pending_job_as_well(bench: Bench) -> None:
    [job_id] = bench.submit()
    assert bench.commands.cancel(job_id, force=True) is Status.CANCELLED
    assert bench.queries.get(job_id).cancel_requested is False


def test_with_force_a_running_job_is_asked_to_stop_and_runs_on(bench: Bench) -> None:
    attempt = start(bench)
    before = bench.queries.get(attempt.job_id)
    assert bench.commands.cancel(attempt.job_id, force=True) is Status.RUNNING
    assert bench.queries.get(attempt.job_id) == replace(before, cancel_requested=True)
    assert bench.queries.stats().finished[Status.CANCELLED] == 0


def test_the_time_of_the_first_cancel_request_is_kept(bench: Bench) -> None:
    attempt = start(bench)
    for _ in range(3):
        bench.commands.cancel(attempt.job_id, force=True)
        bench.clock.advance(1_000)
    assert bench.client.hget(f"{ROOT}:job:{attempt.job_id}", "cancel_requested_at_ms") == str(START_MS)


def test_force_does_not_cancel_an_ended_job(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert refused(bench, attempt.job_id, force=True) == "completed"
    with pytest.raises(JobNotFound):
        bench.commands.cancel("no-such-job", force=True)


def test_a_job_with_a_cancel_request_is_refused_without_force(bench: Bench) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    assert refused(bench, attempt.job_id) == "running"


def test_one_refusal_does_not_stop_the_others(bench: Bench) -> None:
    running = start(bench)
    first, second = bench.submit(2)
    errors = bench.commands.cancel_many([first, "no-such-job", running.job_id, second])
    assert [type(error) for error in errors] == [type(None), JobNotFound, NotPending, type(None)]
    assert status_of(bench, first) is status_of(bench, second) is Status.CANCELLED
    assert status_of(bench, running.job_id) is Status.RUNNING


def test_a_job_named_twice_is_cancelled_once(bench: Bench) -> None:
    [job_id] = bench.submit()
    [first, second] = bench.commands.cancel_many([job_id, job_id])
    assert first is None
    assert isinstance(second, NotPending)
    assert second.facts == {"status": "cancelled"}
    assert bench.queries.stats().finished[Status.CANCELLED] == 1


def test_no_jobs_at_all_are_no_answers(bench: Bench) -> None:
    assert bench.commands.cancel_many([]) == []


def test_a_thousand_jobs_are_cancelled_at_once(bench: Bench) -> None:
    job_ids = bench.submit(1000)
    assert bench.commands.cancel_many(job_ids) == [None] * 1000
    assert bench.queries.stats().by_status()[Status.CANCELLED] == 1000
