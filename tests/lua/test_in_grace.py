"""`lua/lib/leases/in_grace.lua`: after an absence of the queue itself, no executor loses its job for its silence."""

from __future__ import annotations

from jobqueue.job import Status
from jobqueue.queue.policy import Policy
from tests.support.attempts import DONE, Attempt, let_leases_end, start, status_of
from tests.support.bench import Bench


def come_back_after(bench: Bench, absence_ms: int) -> Attempt:
    """Start a job, let time pass without a sweep, and sweep once. Return the attempt."""
    attempt = start(bench)
    bench.commands.sweep()
    bench.clock.advance(absence_ms)
    bench.commands.sweep()
    return attempt


def test_nothing_is_lost_at_the_first_sweep_after_an_absence(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 10)
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_nothing_is_lost_for_one_whole_lease_after_an_absence(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 10)
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2 - 1)
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING
    bench.clock.advance(1)
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_an_executor_that_sends_a_heartbeat_in_time_keeps_its_job(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 10)
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_a_result_that_was_delayed_by_an_absence_is_accepted(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 10)
    bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    assert status_of(bench, attempt.job_id) is Status.COMPLETED


def test_a_claim_ends_no_lease_after_an_absence(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(bench.policy.lease_ms * 10)
    assert bench.claims.claim("executor-2", None) is None
    assert bench.commands.sweep().leases_lost == 0
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_half_a_lease_without_a_sweep_is_no_absence(bench: Bench) -> None:
    attempt = start(bench)
    for _ in range(2):
        bench.clock.advance(bench.policy.lease_ms // 2)
        bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_a_little_more_than_half_a_lease_is_an_absence(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms // 2 + 1)
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_with_short_leases_two_seconds_without_a_sweep_are_no_absence(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(lease_ms=1_000), bench.clock)
    assert status_of(bench, come_back_after(bench, 2_000).job_id) is Status.PENDING


def test_with_short_leases_more_than_two_seconds_are_an_absence(bench: Bench) -> None:
    bench = Bench(bench.client, Policy(lease_ms=1_000), bench.clock)
    assert status_of(bench, come_back_after(bench, 2_001).job_id) is Status.RUNNING


def test_the_first_sweep_ever_is_no_absence(bench: Bench) -> None:
    bench.submit()
    bench.commands.sweep()
    start_of_grace = bench.client.hget("{jobqueue}:sweep", "grace_until_ms")
    assert start_of_grace is None


def test_a_second_absence_gives_a_second_lease(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 10)
    bench.clock.advance(bench.policy.lease_ms * 10)
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def test_a_grace_that_a_clock_set_back_would_prolong_is_void(bench: Bench) -> None:
    attempt = come_back_after(bench, bench.policy.lease_ms * 100)
    bench.clock.advance(-bench.policy.lease_ms * 99)
    let_leases_end(bench)
    assert status_of(bench, attempt.job_id) is Status.PENDING
