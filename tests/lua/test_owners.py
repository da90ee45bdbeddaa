"""An attempt belongs to the name of the API token that claimed it, whoever else knows its executor and its token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobqueue.errors import JobQueueError, LeaseLost, NotHeld, NotRunning
from jobqueue.job import Status
from jobqueue.queue.claims import Beat, ClaimRequest, Renewed
from jobqueue.queue.records.claimed import Claimed, ClaimedJobs
from jobqueue.queue.records.reports import Report, Verb
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder, Result
from tests.support.attempts import DONE, let_leases_end, status_of
from tests.support.bench import Bench

VERBS = ("heartbeat", "complete", "fail", "release")


def claim(bench: Bench, owner: str = "alice", claim_id: str = "", max_jobs: int = 1) -> ClaimedJobs:
    """Claim jobs for executor-1."""
    return bench.claims.claim_many(ClaimRequest("executor-1", None, max_jobs, claim_id, owner=owner))


def start(bench: Bench, owner: str = "alice") -> tuple[str, Holder]:
    """Submit a job and claim it; return its id and its holder."""
    bench.submit()
    [claimed] = claim(bench, owner).jobs
    return claimed.job.id, holder(claimed, owner)


def holder(claimed: Claimed, owner: str) -> Holder:
    """Return the holder of a job."""
    return Holder("executor-1", claimed.attempt_token, owner)


def send(bench: Bench, verb: str, job_id: str, sender: Holder) -> JobQueueError | None:
    """Send what an executor says about a job; return the error that it is refused with."""
    more = {"complete": [DONE], "fail": [Result(1)]}.get(verb, [])
    try:
        getattr(bench.claims, verb)(job_id, sender, *more)
    except JobQueueError as error:
        return error
    return None


@pytest.mark.parametrize("verb", VERBS)
def test_another_owner_is_answered_as_if_the_job_were_not_held(bench: Bench, verb: str) -> None:
    job_id, attempt = start(bench)
    refusal = send(bench, verb, job_id, replace(attempt, owner="bob"))
    without_owner = send(bench, verb, job_id, replace(attempt, attempt_token="made up"))
    assert isinstance(refusal, NotHeld if verb == "heartbeat" else LeaseLost)
    assert (type(without_owner), without_owner.facts if without_owner else None) == (type(refusal), refusal.facts)
    assert status_of(bench, job_id) is Status.RUNNING
    assert send(bench, verb, job_id, attempt) is None


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("claimed_by", "reported_by"), [("", "alice"), ("alice", "")])
def test_an_attempt_goes_on_when_tokens_are_configured_or_are_so_no_longer(
    bench: Bench, verb: str, claimed_by: str, reported_by: str
) -> None:
    job_id, attempt = start(bench, claimed_by)
    assert send(bench, verb, job_id, replace(attempt, owner=reported_by)) is None


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_another_owner_does_not_get_the_answer_to_a_report_again(bench: Bench, verb: str) -> None:
    job_id, attempt = start(bench)
    assert send(bench, verb, job_id, attempt) is None
    assert send(bench, verb, job_id, attempt) is None
    assert isinstance(send(bench, verb, job_id, replace(attempt, owner="bob")), NotRunning)


def test_one_of_many_heartbeats_or_reports_of_another_owner_is_refused(bench: Bench) -> None:
    job_id, attempt = start(bench)
    beats = [Beat(job_id, attempt.attempt_token)]
    [refused] = bench.claims.heartbeat_many("executor-1", beats, "bob")
    [renewed] = bench.claims.heartbeat_many("executor-1", beats, "alice")
    assert isinstance(refused, NotHeld)
    assert isinstance(renewed, Renewed)
    for verb in Verb:
        report = Report(verb, job_id, replace(attempt, owner="bob"), DONE)
        [refusal] = bench.claims.finish_many([report]).results
        assert isinstance(refusal, LeaseLost)


def test_a_claim_id_of_another_owner_has_never_been_used(bench: Bench) -> None:
    bench.submit(2)
    first = claim(bench, "alice", "the same")
    others = claim(bench, "bob", "the same")
    again = claim(bench, "alice", "the same")
    assert (others.replayed, again.replayed) == (False, True)
    assert others.jobs[0].job.id != first.jobs[0].job.id
    assert again.jobs[0].attempt_token == first.jobs[0].attempt_token
    assert claim(bench, "", "the same").jobs == []


def test_what_another_owner_has_not_received_is_not_taken_back(bench: Bench) -> None:
    job_id, _ = start(bench)
    bench.clock.advance(10_001)
    bench.claims.heartbeat_many("executor-1", [], "bob")
    assert status_of(bench, job_id) is Status.RUNNING
    bench.claims.heartbeat_many("executor-1", [], "alice")
    assert status_of(bench, job_id) is Status.PENDING


def test_the_next_attempt_belongs_to_who_claims_it(bench: Bench) -> None:
    job_id, first = start(bench)
    let_leases_end(bench)
    [second] = claim(bench, "bob").jobs
    assert send(bench, "heartbeat", job_id, replace(holder(second, "bob"), owner="alice")) is not None
    assert send(bench, "release", job_id, holder(second, "bob")) is None
    [third] = claim(bench, "").jobs
    assert send(bench, "heartbeat", job_id, holder(third, "alice")) is None
    assert send(bench, "heartbeat", job_id, first) is not None


def test_an_open_api_stores_no_owner(bench: Bench) -> None:
    job_id, _ = start(bench, "")
    assert not bench.client.hexists(f"{ROOT}:job:{job_id}", "owner")
