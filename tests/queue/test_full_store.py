"""A real server at maxmemory: new jobs are refused whole, and every existing job can still end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from jobqueue.errors import StoreFull
from jobqueue.job import Status, Stream
from jobqueue.queue.commands import Finished
from jobqueue.result import Holder, LiveOutput, Piece
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, start, status_of
from tests.support.bench import Bench
from tests.support.consistency import check
from tests.support.contents import contents


@pytest.fixture
def bench(configured: redis.Redis) -> Iterator[Bench]:
    """A queue on a real server whose memory a test may limit."""
    bench = Bench(configured)
    yield bench
    assert check(configured) == []


def fill_up(bench: Bench) -> None:
    """Let Redis refuse whatever needs memory, and unload the scripts."""
    bench.client.config_set("maxmemory", 1)
    bench.client.script_flush()
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        bench.client.set("anything", "more")


def test_a_new_job_is_refused_and_nothing_of_it_is_stored(bench: Bench) -> None:
    bench.submit()
    before = contents(bench.client)
    fill_up(bench)
    with pytest.raises(StoreFull):
        bench.submit(3)
    assert contents(bench.client) == before


def test_new_jobs_are_taken_as_soon_as_there_is_space_again(bench: Bench) -> None:
    fill_up(bench)
    with pytest.raises(StoreFull):
        bench.submit()
    bench.client.config_set("maxmemory", 0)
    assert len(bench.submit()) == 1


def test_a_pending_job_is_claimed(bench: Bench) -> None:
    [job_id] = bench.submit()
    fill_up(bench)
    assert claim(bench, "an executor that is new").job_id == job_id


def test_a_heartbeat_keeps_a_lease(bench: Bench) -> None:
    attempt = start(bench)
    fill_up(bench)
    assert bench.commands.heartbeat(attempt.job_id, attempt.holder).lease_ms == bench.policy.lease_ms


FINISHES: dict[Status, Callable[[Bench, str, Holder], Finished]] = {
    Status.COMPLETED: lambda bench, job_id, holder: bench.commands.complete(job_id, holder, DONE),
    Status.FAILED: lambda bench, job_id, holder: bench.commands.fail(job_id, holder, BROKEN),
}


@pytest.mark.parametrize("status", FINISHES)
def test_a_result_is_stored_and_can_be_replayed(bench: Bench, status: Status) -> None:
    attempt = start(bench)
    fill_up(bench)
    assert FINISHES[status](bench, attempt.job_id, attempt.holder).replayed is False
    assert FINISHES[status](bench, attempt.job_id, attempt.holder).replayed is True
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.stdout) == (status, DONE.stdout)


def test_a_pending_job_is_cancelled(bench: Bench) -> None:
    [job_id] = bench.submit()
    fill_up(bench)
    bench.commands.cancel(job_id)
    assert status_of(bench, job_id) is Status.CANCELLED


def test_a_running_job_is_asked_to_stop_and_released(bench: Bench) -> None:
    cancelled, released = start(bench), start(bench)
    fill_up(bench)
    assert bench.commands.cancel(cancelled.job_id, force=True) is Status.RUNNING
    assert bench.commands.release(cancelled.job_id, cancelled.holder) is Status.CANCELLED
    assert bench.commands.release(released.job_id, released.holder) is Status.PENDING


def test_a_running_program_s_output_is_kept(bench: Bench) -> None:
    attempt = start(bench)
    fill_up(bench)
    bench.commands.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out")))
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, 0).part.data == "out"


def test_a_lost_job_becomes_pending_again(bench: Bench) -> None:
    attempt = start(bench)
    fill_up(bench)
    let_leases_end(bench)
    assert status_of(bench, attempt.job_id) is Status.PENDING


def test_a_job_that_ended_long_ago_is_removed(bench: Bench) -> None:
    bench.commands.cancel_many(bench.submit(3))
    fill_up(bench)
    bench.clock.advance(bench.policy.retention_ms)
    assert bench.commands.sweep().jobs_removed == 3


def test_every_query_still_works(bench: Bench) -> None:
    [job_id] = bench.submit()
    fill_up(bench)
    assert status_of(bench, job_id) is Status.PENDING
    assert bench.queries.stats().by_status()[Status.PENDING] == 1
    assert list(bench.queries.executors()) == []
