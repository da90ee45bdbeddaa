"""`lua/claim.lua`: claims of several jobs, of some types, and claims that are repeated because an answer was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobqueue.job import Priority, Status
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.records.claimed import ClaimedJobs
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder
from tests.support.attempts import DONE, claim, lose, status_of
from tests.support.bench import Bench, new_job
from tests.support.contents import contents
from tests.support.host_faults import fault


def claim_many(bench: Bench, max_jobs: int = 10, claim_id: str = "", types: tuple[str, ...] = ()) -> ClaimedJobs:
    """Claim jobs for executor-1."""
    return bench.claims.claim_many(ClaimRequest("executor-1", None, max_jobs, claim_id, types))


def ids(claimed: ClaimedJobs) -> list[str]:
    """Return the ids of the jobs of a claim."""
    return [each.job.id for each in claimed.jobs]


def holder(claimed: ClaimedJobs, index: int = 0) -> Holder:
    """Return the holder of a job of a claim."""
    return Holder("executor-1", claimed.jobs[index].attempt_token)


@pytest.mark.parametrize("max_jobs", [1, 2, 5, 6, 100])
def test_a_claim_hands_out_as_many_jobs_as_it_asks_for_and_there_are(bench: Bench, max_jobs: int) -> None:
    submitted = [*bench.submit(3, Priority.FOREGROUND), *bench.submit(2, Priority.BEST_EFFORT)]
    assert ids(claim_many(bench, max_jobs)) == submitted[:max_jobs]
    assert [status_of(bench, job_id) for job_id in submitted[max_jobs:]] == [Status.PENDING] * (5 - max_jobs)


def test_an_answer_ends_with_the_job_that_makes_it_too_long(real_bench: Bench) -> None:
    large = replace(new_job().spec, arguments=["x" * 131_000] * 8)
    jobs = [replace(new_job(), spec=large) for _ in range(10)]
    submitted = list(real_bench.commands.submit(jobs).job_ids)
    first = claim_many(real_bench, 10, "a name")
    assert ids(first) == submitted[:5]
    assert ids(claim_many(real_bench, 10, "a name")) == submitted[:5]
    assert ids(claim_many(real_bench, 10)) == submitted[5:]


def test_the_answer_has_what_the_details_of_each_job_have(bench: Bench) -> None:
    lost = lose(bench)
    bench.submit()
    for each in claim_many(bench).jobs:
        assert each.job == bench.queries.get(each.job.id)
        assert each.attempt == len(each.job.attempts) == (2 if each.job.id == lost.job_id else 1)


def test_the_jobs_of_a_claim_have_tokens_of_their_own(bench: Bench) -> None:
    bench.submit(100)
    tokens = {each.attempt_token for each in claim_many(bench, 100).jobs}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}


def test_a_claim_of_some_types_gets_the_oldest_of_all_of_them_first(bench: Bench) -> None:
    background = [bench.submit(1, type=type)[0] for type in ("a", "b", "c", "a", "b")]
    foreground = [bench.submit(1, Priority.FOREGROUND, type)[0] for type in ("c", "b")]
    wanted = [foreground[1], background[0], background[1], background[3], background[4]]
    assert ids(claim_many(bench, 3, types=("b", "a"))) == wanted[:3]
    assert ids(claim_many(bench, types=("b", "a"))) == wanted[3:]
    assert ids(claim_many(bench, types=("b", "other"))) == []


def test_a_claim_of_some_types_steps_over_jobs_that_are_kept_for_others(bench: Bench) -> None:
    bench.submit(2, type="a")
    for attempt in [claim(bench) for _ in range(2)]:
        fault(bench, attempt)
    [free] = bench.submit(1, type="a")
    bench.pass_time(5_000)
    bench.client.zadd(f"{ROOT}:askers", {"executor-2": bench.clock.now_ms})
    assert ids(claim_many(bench, types=("a", "b"))) == [free]


def test_a_repeated_claim_gets_the_same_jobs_and_tokens(bench: Bench) -> None:
    bench.submit(5)
    first = claim_many(bench, 3, "a name")
    assert first.replayed is False
    for max_jobs, types in ((3, ()), (1, ("other",)), (100, ())):
        bench.clock.advance(1_000)
        repeated = claim_many(bench, max_jobs, "a name", types)
        assert repeated.replayed is True
        assert repeated.jobs == first.jobs
    assert len(claim_many(bench, 10, "another name").jobs) == 2


def test_a_repeated_claim_renews_the_leases(bench: Bench) -> None:
    bench.submit(2)
    first = claim_many(bench, 2, "a name")
    for _ in range(2):
        bench.pass_time(bench.policy.lease_ms - 1_000)
        assert claim_many(bench, 2, "a name").jobs == first.jobs
    bench.pass_time(bench.policy.lease_ms)
    assert [status_of(bench, each.job.id) for each in first.jobs] == [Status.PENDING] * 2


def test_a_repeated_claim_saves_jobs_whose_leases_have_ended_but_were_not_swept(bench: Bench) -> None:
    bench.submit()
    first = claim_many(bench, 1, "a name")
    bench.clock.advance(bench.policy.lease_ms)
    assert claim_many(bench, 1, "a name").jobs == first.jobs


def test_a_repeated_claim_leaves_out_what_is_not_held_any_more(bench: Bench) -> None:
    bench.submit(4)
    first = claim_many(bench, 4, "a name")
    completed, released, cancelled, running = ids(first)
    bench.claims.complete(completed, holder(first, 0), DONE)
    bench.claims.release(released, holder(first, 1))
    bench.commands.cancel(cancelled, force=True)
    [other] = claim_many(bench, 1).jobs  # the released job, as another attempt of the same executor
    assert other.job.id == released
    repeated = claim_many(bench, 4, "a name")
    assert ids(repeated) == [cancelled, running]
    assert [each.job.cancel_requested for each in repeated.jobs] == [True, False]


def test_a_repeated_claim_whose_jobs_have_all_ended_gets_none_and_says_so(bench: Bench) -> None:
    bench.submit(2)
    first = claim_many(bench, 1, "a name")
    bench.claims.complete(ids(first)[0], holder(first), DONE)
    assert claim_many(bench, 1, "a name") == ClaimedJobs([], replayed=True)


def test_a_claim_that_found_no_job_is_not_remembered(bench: Bench) -> None:
    assert claim_many(bench, 1, "a name") == ClaimedJobs([], replayed=False)
    [job_id] = bench.submit()
    assert ids(claim_many(bench, 1, "a name")) == [job_id]


def test_the_names_of_claims_are_each_executors_own(bench: Bench) -> None:
    bench.submit(2)
    first = claim_many(bench, 1, "a name")
    other = bench.claims.claim_many(ClaimRequest("executor-2", claim_id="a name"))
    assert other.replayed is False
    assert ids(other) != ids(first)


def test_many_claims_can_be_repeated_for_a_lease_and_then_are_forgotten(real_bench: Bench) -> None:
    bench = real_bench
    bench.submit(300)
    first = [claim_many(bench, 1, str(number)) for number in range(150)]
    bench.clock.advance(bench.policy.lease_ms - 1)
    assert [claim_many(bench, 1, str(number)).jobs for number in range(150)] == [each.jobs for each in first]
    names = [name for name in contents(bench.client).hashes if ":claim_ids:" in name]
    assert all(0 < bench.client.pttl(name) <= 2 * bench.policy.lease_ms for name in names)
    bench.clock.advance(2 * bench.policy.lease_ms)
    assert claim_many(bench, 1, "0").replayed is False
