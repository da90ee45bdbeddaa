"""`lua/release.lua` after host faults: when the job is handed out again, and when it fails."""

from __future__ import annotations

import pytest

from jobqueue.errors import NotRunning
from jobqueue.job import HOST_FAULTS, Attempt, AttemptStatus, Priority, Reason, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter
from jobqueue.queue.scripts import ROOT
from tests.support.attempts import claim, let_leases_end, start, status_of
from tests.support.bench import Bench
from tests.support.clock import START_MS
from tests.support.contents import contents
from tests.support.host_faults import FULL, claimed_by, fault, faulted


@pytest.mark.parametrize("reason", sorted(HOST_FAULTS))
def test_a_host_fault_is_shown_in_the_attempt(bench: Bench, reason: Reason) -> None:
    attempt = start(bench)
    bench.clock.advance(1_500)
    message = f"line 1: {FULL}\nline 2: ü"
    assert bench.claims.release(attempt.job_id, attempt.holder, reason, message) is Status.PENDING
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.executor_id, job.reason, job.error_message) == (Status.PENDING, None, None, None)
    assert list(job.attempts) == [
        Attempt("executor-1", "10.0.0.1", START_MS, START_MS + 1_500, AttemptStatus.RELEASED, reason, message)
    ]
    assert bench.queries.stats().host_faults == 1


def test_a_message_without_a_reason_is_shown_and_counts_nothing(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.release(attempt.job_id, attempt.holder, None, "a b")
    [archived] = bench.queries.get(attempt.job_id).attempts
    assert (archived.reason, archived.error_message) == (None, "a b")
    assert claimed_by(bench, "executor-1") == attempt.job_id
    assert bench.queries.stats().host_faults == 0


def test_a_long_message_is_cut_in_the_archive(bench: Bench) -> None:
    attempt = start(bench)
    fault(bench, attempt, "ß" * 100_000)
    [archived] = bench.queries.get(attempt.job_id).attempts
    assert archived.error_message == "ß" * 2048


@pytest.mark.parametrize("faults", range(1, 9))
def test_the_delay_after_a_host_fault_doubles_up_to_five_minutes(bench: Bench, faults: int) -> None:
    bench = Bench(bench.client, Policy(max_host_faults=100), bench.clock)
    job_id = faulted(bench)
    for _ in range(faults - 1):
        bench.clock.advance(300_000)
        fault(bench, claim(bench))
    delay_ms = min(5_000 * 2 ** (faults - 1), 300_000)
    bench.clock.advance(delay_ms - 1)
    assert claimed_by(bench, "executor-2") is None
    assert status_of(bench, job_id) is Status.PENDING
    bench.clock.advance(1)
    assert claimed_by(bench, "executor-2") == job_id


def test_a_delayed_job_is_listed_counted_and_waits_like_any_pending_job(bench: Bench) -> None:
    job_id = faulted(bench)
    bench.clock.advance(4_000)
    [younger] = bench.submit(1, type="other")
    page = bench.queries.list(Filter(Status.PENDING, Priority.BACKGROUND), 10, 0)
    assert ([job.id for job in page.jobs], page.total) == ([younger, job_id], 2)
    assert [job.id for job in bench.queries.list(Filter(type="demo"), 10, 0).jobs] == [job_id]
    stats = bench.queries.stats()
    assert stats.pending()[Priority.BACKGROUND] == 2
    assert stats.oldest_pending_ms[Priority.BACKGROUND] == 4_000


def test_a_sweep_queues_a_job_that_has_become_due_at_its_old_place(bench: Bench) -> None:
    job_id = faulted(bench)
    [younger] = bench.submit()
    bench.clock.advance(4_999)
    assert bench.commands.sweep().jobs_queued == 0
    bench.clock.advance(1)
    assert bench.commands.sweep().jobs_queued == 1
    assert [claimed_by(bench, "executor-2") for _ in range(2)] == [job_id, younger]


def test_claims_and_sweeps_queue_a_limited_number_of_jobs(real_bench: Bench) -> None:
    real_bench.submit(130)
    for attempt in [claim(real_bench) for _ in range(130)]:
        fault(real_bench, attempt)
    real_bench.clock.advance(5_000)
    assert claimed_by(real_bench, "executor-2") is not None
    assert real_bench.client.zcard(f"{ROOT}:due") == 120
    swept = [real_bench.commands.sweep() for _ in range(2)]
    assert [(each.jobs_queued, each.more) for each in swept] == [(100, True), (20, False)]


def test_a_delayed_job_can_be_cancelled(bench: Bench) -> None:
    job_id = faulted(bench)
    assert bench.commands.cancel(job_id) is Status.CANCELLED
    bench.clock.advance(5_000)
    assert claimed_by(bench, "executor-2") is None
    assert bench.client.exists(f"{ROOT}:due") == 0


def test_after_the_last_host_fault_allowed_the_job_fails_with_its_reason_and_message(bench: Bench) -> None:
    job_id = faulted(bench)
    bench.pass_time(5_000)
    assert fault(bench, claim(bench)) is Status.PENDING
    bench.pass_time(10_000)
    last = claim(bench)
    assert bench.claims.release(job_id, last.holder, Reason.DOWNLOAD_FAILED, "unknown host") is Status.FAILED
    job = bench.queries.get(job_id)
    assert (job.status, job.reason, job.error_message) == (Status.FAILED, Reason.DOWNLOAD_FAILED, "unknown host")
    assert (job.exit_code, job.completed_at_ms) == (None, bench.clock.now_ms)
    assert [(attempt.reason, attempt.error_message) for attempt in job.attempts] == [
        (Reason.HOST_FAULT, FULL),
        (Reason.HOST_FAULT, FULL),
        (Reason.DOWNLOAD_FAILED, "unknown host"),
    ]
    stats = bench.queries.stats()
    assert (stats.host_faults, stats.finished[Status.FAILED]) == (3, 1)
    with pytest.raises(NotRunning):
        fault(bench, last)


def test_a_job_that_fails_without_a_message_says_why(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(max_host_faults=1), bench.clock)
    attempt = start(bench)
    assert fault(bench, attempt, "") is Status.FAILED
    assert "executor-1" in str(bench.queries.get(attempt.job_id).error_message)


def test_host_faults_and_lost_attempts_are_counted_apart(bench: Bench) -> None:
    job_id = faulted(bench)
    for _ in range(2):
        bench.pass_time(5_000)
        claim(bench, "executor-2")
        let_leases_end(bench)
    bench.pass_time(5_000)
    attempt = claim(bench, "executor-2")
    assert bench.claims.release(job_id, attempt.holder, Reason.WORKER_SHUTDOWN) is Status.PENDING
    assert fault(bench, claim(bench, "executor-2")) is Status.PENDING
    bench.pass_time(10_000)
    assert fault(bench, claim(bench, "executor-2")) is Status.FAILED


def test_a_host_fault_ends_a_job_with_a_cancel_request_as_cancelled(bench: Bench) -> None:
    attempt = start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    assert fault(bench, attempt) is Status.CANCELLED
    assert bench.queries.get(attempt.job_id).reason is Reason.CANCELLED


def test_a_replayed_host_fault_is_refused_and_counts_once(bench: Bench) -> None:
    attempt = start(bench)
    fault(bench, attempt)
    before = contents(bench.client)
    with pytest.raises(NotRunning):
        fault(bench, attempt)
    assert contents(bench.client) == before


def test_an_entry_without_a_delayed_job_is_dropped(bench: Bench) -> None:
    [job_id] = bench.submit()
    bench.client.zadd(f"{ROOT}:due", {"no-such-job": 0, job_id: 0})
    bench.commands.sweep()
    assert bench.client.exists(f"{ROOT}:due") == 0
    assert claimed_by(bench, "executor-1") == job_id


def test_a_clock_that_was_set_back_delays_no_job_for_longer_than_five_minutes(bench: Bench) -> None:
    job_id = faulted(bench)
    bench.clock.advance(-86_400_000)
    bench.commands.sweep()
    bench.clock.advance(299_999)
    assert claimed_by(bench, "executor-2") is None
    bench.clock.advance(1)
    assert claimed_by(bench, "executor-2") == job_id
