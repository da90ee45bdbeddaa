"""`lua/heartbeat.lua`: a lease is renewed for its holder, and for no other executor."""

from __future__ import annotations

import pytest

from jobqueue.errors import JobNotFound, NotHeld
from jobqueue.job import Status
from jobqueue.queue.claims import Renewed
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder, LiveOutput, Piece
from tests.support.attempts import BROKEN, DONE, Attempt, claim, let_leases_end, lose, start, status_of
from tests.support.bench import Bench
from tests.support.contents import contents


def refused(bench: Bench, job_id: str, holder: Holder) -> object:
    """Return the status in the refusal, after checking that it changed nothing."""
    before = contents(bench.client)
    with pytest.raises(NotHeld) as refusal:
        bench.claims.heartbeat(job_id, holder, LiveOutput(Piece(0, "out"), Piece(0, "err")))
    assert contents(bench.client) == before
    return refusal.value.facts["status"]


def test_a_job_runs_on_as_long_as_heartbeats_arrive(bench: Bench) -> None:
    attempt = start(bench)
    for _ in range(4):
        bench.clock.advance(bench.policy.lease_ms // 2)
        assert bench.claims.heartbeat(attempt.job_id, attempt.holder).lease_ms == bench.policy.lease_ms
        bench.commands.sweep()
    assert status_of(bench, attempt.job_id) is Status.RUNNING
    assert len(bench.queries.get(attempt.job_id).attempts) == 1


def test_a_heartbeat_gives_exactly_one_more_lease(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(10)
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    assert bench.client.zscore(f"{ROOT}:deadlines", attempt.job_id) == bench.clock.now_ms + bench.policy.lease_ms


def test_a_heartbeat_returns_a_cancel_request(bench: Bench) -> None:
    attempt, other = start(bench), start(bench)
    bench.commands.cancel(attempt.job_id, force=True)
    for _ in range(2):
        assert bench.claims.heartbeat(attempt.job_id, attempt.holder) == Renewed(bench.policy.lease_ms, True)
    assert bench.claims.heartbeat(other.job_id, other.holder) == Renewed(bench.policy.lease_ms, False)


def test_a_heartbeat_without_output_keeps_none(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    assert bench.client.exists(f"{ROOT}:live:{attempt.job_id}") == 0


def test_a_heartbeat_without_a_token_is_identified_by_its_executor_id(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(10)
    bench.claims.heartbeat(attempt.job_id, attempt.without_token)
    assert bench.client.get(f"{ROOT}:lease:{attempt.job_id}") == attempt.holder.attempt_token


def test_a_heartbeat_restores_a_lease_key_that_vanished(bench: Bench) -> None:
    attempt = start(bench)
    bench.client.delete(f"{ROOT}:lease:{attempt.job_id}")
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    assert bench.client.get(f"{ROOT}:lease:{attempt.job_id}") == attempt.holder.attempt_token
    assert 0 < bench.client.pttl(f"{ROOT}:lease:{attempt.job_id}") <= bench.policy.lease_ms


def test_a_late_heartbeat_counts_until_the_lease_is_ended(bench: Bench) -> None:
    attempt = start(bench)
    bench.clock.advance(bench.policy.lease_ms * 2)
    bench.claims.heartbeat(attempt.job_id, attempt.holder)
    let_half_a_lease_go_by(bench)
    assert status_of(bench, attempt.job_id) is Status.RUNNING


def let_half_a_lease_go_by(bench: Bench) -> None:
    bench.commands.sweep()
    bench.clock.advance(bench.policy.lease_ms // 2)
    bench.commands.sweep()


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.claims.heartbeat("no-such-job", Holder("executor-1"))
    assert contents(bench.client).names() == set()


def test_a_pending_job_is_not_held(bench: Bench) -> None:
    [job_id] = bench.submit()
    assert refused(bench, job_id, Holder("executor-1")) == "pending"
    assert refused(bench, job_id, Holder("executor-1", "a token")) == "pending"


def test_a_job_of_another_executor_is_not_held(bench: Bench) -> None:
    attempt = start(bench)
    assert refused(bench, attempt.job_id, Holder("executor-2")) == "running"
    assert refused(bench, attempt.job_id, Holder("executor-2", attempt.holder.attempt_token)) == "running"


def test_a_wrong_token_is_refused_although_the_executor_is_right(bench: Bench) -> None:
    attempt = start(bench)
    assert refused(bench, attempt.job_id, Holder("executor-1", "another token")) == "running"


@pytest.mark.parametrize("ended", ["completed", "failed", "cancelled"])
def test_an_ended_job_is_not_held(bench: Bench, ended: str) -> None:
    attempt = end(bench, ended)
    assert refused(bench, attempt.job_id, attempt.holder) == ended
    assert refused(bench, attempt.job_id, attempt.without_token) == ended


def end(bench: Bench, status: str) -> Attempt:
    if status == "cancelled":
        [job_id] = bench.submit()
        bench.commands.cancel(job_id)
        return Attempt(job_id, Holder("executor-1", "a token"))
    attempt = start(bench)
    if status == "completed":
        bench.claims.complete(attempt.job_id, attempt.holder, DONE)
    else:
        bench.claims.fail(attempt.job_id, attempt.holder, BROKEN)
    return attempt


def test_a_lost_attempt_is_never_held_again(bench: Bench) -> None:
    lost = lose(bench)
    assert refused(bench, lost.job_id, lost.holder) == "pending"
    again = claim(bench, lost.holder.executor_id)
    assert again.job_id == lost.job_id
    assert refused(bench, lost.job_id, lost.holder) == "running"


def test_a_lost_attempt_cannot_keep_the_next_one_alive(bench: Bench) -> None:
    lost = lose(bench)
    claim(bench, "executor-2")
    refused(bench, lost.job_id, lost.holder)
    let_leases_end(bench)
    assert status_of(bench, lost.job_id) is Status.PENDING
