"""What is one too many is refused before anything is stored: pending jobs, types of jobs, executors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis

from jobqueue.errors import QueueFull, TooManyExecutors, TooManyTypes
from jobqueue.job import NewJob, Priority, Reason, Status
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.reports import Report, Verb
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Result
from tests.support.attempts import DONE, claim, let_leases_end, start, status_of
from tests.support.bench import Bench, new_job
from tests.support.contents import contents


def limited(client: redis.Redis, **limits: int) -> Bench:
    return Bench(client, Policy(**limits))


def of_types(*types: str) -> list[NewJob]:
    return [new_job(type=type) for type in types]


def active(bench: Bench) -> set[str]:
    return {executor.executor_id for executor in bench.executors()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs_beyond_the_limit_are_refused_together_and_nothing_is_stored(client: redis.Redis, jobs: int) -> None:
    bench = limited(client, max_pending=3)
    bench.submit(4 - jobs)
    before = contents(client)
    with pytest.raises(QueueFull) as refused:
        bench.submit(jobs)
    assert refused.value.facts == {"limit": 3, "pending": 4 - jobs}
    assert contents(client) == before
    if jobs > 1:
        bench.submit(jobs - 1)


def test_pending_jobs_of_every_priority_and_delayed_ones_count(client: redis.Redis) -> None:
    bench = limited(client, max_pending=4)
    for priority in Priority:
        bench.submit(1, priority)
    released = claim(bench)
    bench.claims.release(released.job_id, released.holder, Reason.HOST_FAULT)
    assert status_of(bench, released.job_id) is Status.PENDING
    bench.submit()
    with pytest.raises(QueueFull):
        bench.submit()


def test_a_job_that_leaves_the_queue_makes_room(client: redis.Redis) -> None:
    bench = limited(client, max_pending=1)
    start(bench)
    [job_id] = bench.submit()
    with pytest.raises(QueueFull):
        bench.submit()
    bench.commands.cancel(job_id)
    bench.submit()


def test_a_job_that_comes_back_to_a_full_queue_is_not_refused(client: redis.Redis) -> None:
    bench = limited(client, max_pending=1, max_pending_of_type=1)
    released, lost = start(bench), start(bench)
    bench.submit()
    assert bench.claims.release(released.job_id, released.holder) is Status.PENDING
    let_leases_end(bench)
    assert status_of(bench, lost.job_id) is Status.PENDING


def test_the_limit_of_a_type_holds_for_each_type(client: redis.Redis) -> None:
    bench = limited(client, max_pending_of_type=2)
    bench.commands.submit(of_types("a", "b", "a"))
    before = contents(client)
    for types in (["a"], ["c", "b", "b"]):
        with pytest.raises(QueueFull) as refused:
            bench.commands.submit(of_types(*types))
        assert refused.value.facts == {"limit": 2, "pending": {"a": 2, "b": 1}[types[-1]], "type": types[-1]}
        assert types[-1] in str(refused.value)
    assert contents(client) == before
    bench.commands.submit(of_types("c", "b"))


def test_a_repeated_request_gets_its_first_answer_from_a_full_queue(client: redis.Redis) -> None:
    bench = limited(client, max_pending=1, max_pending_of_type=1, max_types=1)
    first = bench.commands.submit(of_types("a"), "submit:key")
    again = bench.commands.submit(of_types("a"), "submit:key")
    assert (again.replayed, again.job_ids) == (True, list(first.job_ids))
    with pytest.raises(QueueFull):
        bench.commands.submit(of_types("a"), "submit:other")
    bench.commands.cancel(first.job_ids[0])
    assert not bench.commands.submit(of_types("a"), "submit:other").replayed  # the refusal has left no key behind


def test_a_new_type_beyond_the_limit_is_refused_and_known_ones_go_on(client: redis.Redis) -> None:
    bench = limited(client, max_types=2)
    bench.commands.submit(of_types("a", "b", "a"))
    before = contents(client)
    for types in (["c"], ["a", "c"]):
        with pytest.raises(TooManyTypes) as refused:
            bench.commands.submit(of_types(*types))
        assert refused.value.facts == {"limit": 2, "type": "c"}
    assert contents(client) == before
    bench.commands.submit(of_types("b", "a"))


def test_a_type_is_gone_when_its_last_job_is_removed(client: redis.Redis) -> None:
    bench = limited(client, max_types=1, retention_ms=1000)
    for _ in range(2):
        running = start(bench)
        bench.claims.complete(running.job_id, running.holder, DONE)
        bench.clock.advance(600)
    bench.commands.sweep()
    with pytest.raises(TooManyTypes):  # one of its jobs is still kept
        bench.commands.submit(of_types("other"))
    bench.clock.advance(600)
    bench.commands.sweep()
    bench.commands.submit(of_types("other"))
    assert contents(client).sets == {f"{ROOT}:types": {"other"}}


def test_a_type_that_had_jobs_before_there_was_a_limit_is_not_new(client: redis.Redis) -> None:
    Bench(client).commands.submit(of_types("older"))
    bench = limited(client, max_types=1)
    bench.commands.submit(of_types("first"))
    bench.commands.submit(of_types("older"))
    with pytest.raises(TooManyTypes):
        bench.commands.submit(of_types("new"))


def test_sweeps_forget_types_whose_jobs_were_removed_by_a_server_of_another_version(client: redis.Redis) -> None:
    bench = limited(client, max_types=20)
    bench.commands.submit(of_types("kept"))
    client.sadd(f"{ROOT}:types", *(f"gone-{number}" for number in range(5)))
    for _ in range(200):
        bench.commands.sweep()
    assert contents(client).sets == {f"{ROOT}:types": {"kept"}}


def test_types_are_not_listed_while_they_are_not_limited(bench: Bench) -> None:
    bench.submit()
    assert contents(bench.client).sets == {}


def test_a_new_executor_beyond_the_limit_is_refused_and_known_ones_go_on(client: redis.Redis) -> None:
    bench = limited(client, max_executors=2)
    for name in ("one", "two"):
        bench.claims.claim(name, None)
    bench.submit()
    before = contents(client)
    with pytest.raises(TooManyExecutors) as refused:
        bench.claims.claim("three", None)
    assert refused.value.facts == {"limit": 2}
    assert contents(client) == before
    claim(bench, "one")


def test_a_silent_executor_makes_room_after_its_time_out(client: redis.Redis) -> None:
    bench = limited(client, max_executors=1)
    bench.claims.claim("one", None)
    bench.clock.advance(bench.policy.executor_timeout_ms)
    bench.claims.claim("two", None)
    with pytest.raises(TooManyExecutors):
        bench.claims.claim("one", None)


def test_an_executor_that_runs_a_job_is_not_refused(client: redis.Redis) -> None:
    bench = limited(client, max_executors=1, executor_timeout_ms=1000)
    running = start(bench, "one")
    bench.clock.advance(1000)
    bench.claims.claim("two", None)
    bench.claims.claim("one", None)
    bench.claims.heartbeat(running.job_id, running.holder)
    bench.claims.complete(running.job_id, running.holder, DONE)


def note_by_heartbeat(bench: Bench, executor_id: str) -> Sequence[object]:
    return bench.claims.heartbeat_many(executor_id, [])


def note_by_look(bench: Bench, executor_id: str) -> Sequence[object]:
    return bench.commands.look([executor_id], [])


@pytest.mark.parametrize("note", [note_by_heartbeat, note_by_look])
def test_no_other_call_lets_one_executor_too_many_in(client: redis.Redis, note: object) -> None:
    assert callable(note)
    bench = limited(client, max_executors=1)
    bench.claims.claim("one", None)
    assert note(bench, "two") == []
    assert active(bench) == {"one"}
    bench.clock.advance(1)
    note(bench, "one")
    assert bench.executors()[0].last_heartbeat_ms == bench.clock.now_ms


def test_reports_are_stored_although_the_claim_along_with_them_is_refused(client: redis.Redis) -> None:
    bench = limited(client, max_executors=1)
    bench.claims.claim("one", None)
    [job_id] = bench.submit()
    report = Report(Verb.COMPLETE, job_id, claim(bench, "one").holder, Result(0))
    stranger = Report(Verb.COMPLETE, job_id, report.holder.__class__("two", "a token"), Result(0))
    assert isinstance(bench.claims.finish_many([stranger], ClaimRequest("two")).refusal, TooManyExecutors)
    finished = bench.claims.finish_many([report], ClaimRequest("one"))
    assert (finished.refusal, status_of(bench, job_id)) == (None, Status.COMPLETED)


def test_more_executors_than_are_remembered_otherwise_may_be_allowed(client: redis.Redis) -> None:
    bench = limited(client, max_executors=10_003)
    client.zadd(f"{ROOT}:executors", {f"worker-{number}": bench.clock.now_ms for number in range(10_002)})
    bench.claims.claim("one", None)
    bench.commands.sweep()
    assert bench.queries.stats().active_executors == 10_003
    with pytest.raises(TooManyExecutors):
        bench.claims.claim("two", None)
