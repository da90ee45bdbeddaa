"""A real server at maxmemory: new jobs are refused whole, and every existing job can still end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from jobqueue.errors import NotRunning, StoreFull
from jobqueue.job import Status, Stream
from jobqueue.queue.records.reports import Finished
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Holder, LiveOutput, Piece, Result
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, start, status_of
from tests.support.bench import Bench, new_job
from tests.support.consistency import check
from tests.support.contents import contents

MEBIBYTE = 1024 * 1024


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


@pytest.mark.parametrize("key", ["", "submit:k"])
def test_a_new_job_is_refused_and_nothing_of_it_is_stored(bench: Bench, key: str) -> None:
    bench.submit()
    before = contents(bench.client)
    fill_up(bench)
    with pytest.raises(StoreFull):
        bench.commands.submit([new_job()] * 3, key)
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
    assert bench.claims.heartbeat(attempt.job_id, attempt.holder).lease_ms == bench.policy.lease_ms


FINISHES: dict[Status, Callable[[Bench, str, Holder], Finished]] = {
    Status.COMPLETED: lambda bench, job_id, holder: bench.claims.complete(job_id, holder, DONE),
    Status.FAILED: lambda bench, job_id, holder: bench.claims.fail(job_id, holder, BROKEN),
}


@pytest.mark.parametrize("status", FINISHES)
def test_a_result_is_stored_and_can_be_replayed(bench: Bench, status: Status) -> None:
    attempt = start(bench)
    fill_up(bench)
    assert FINISHES[status](bench, attempt.job_id, attempt.holder).replayed is False
    assert FINISHES[status](bench, attempt.job_id, attempt.holder).replayed is True
    job = bench.queries.get(attempt.job_id)
    assert (job.status, job.stdout) == (status, DONE.stdout)


def used_bytes(bench: Bench) -> int:
    """The memory of the server, without what its connections hold for the moment."""
    memory, stats = bench.client.info("memory"), bench.client.memory_stats()
    return int(memory["used_memory"]) - int(stats["clients.normal"])


def test_reports_with_large_outputs_do_not_fill_a_full_store_further(bench: Bench) -> None:
    limit = used_bytes(bench) + 8 * MEBIBYTE
    bench.submit(30)
    bench.client.config_set("maxmemory", limit)
    large = Result(3, stdout="o" * MEBIBYTE, stderr="e" * MEBIBYTE, error_message="it broke " * 1000)
    ended = []
    for _ in range(30):
        attempt = claim(bench)
        bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "x" * 200_000)))
        ended.append(attempt.job_id)
        assert bench.claims.fail(attempt.job_id, attempt.holder, large).replayed is False
        assert bench.claims.fail(attempt.job_id, attempt.holder, large).replayed is True
    assert used_bytes(bench) < limit + 4 * MEBIBYTE
    jobs = [bench.queries.get(job_id) for job_id in ended]
    assert {(job.status, job.exit_code) for job in jobs} == {(Status.FAILED, 3)}
    assert (len(jobs[0].stdout), jobs[0].measured.stdout_truncated) == (MEBIBYTE, False)
    last = jobs[-1]
    assert last.stdout.startswith("ooo")
    assert last.stderr.endswith("eee")
    assert len(last.stdout) + len(last.stderr) + len(last.error_message or "") < 3000
    assert (last.measured.stdout_truncated, last.measured.stderr_truncated) == (True, True)
    assert (last.measured.stdout_bytes, last.measured.stderr_bytes) == (MEBIBYTE, MEBIBYTE)
    bench.client.config_set("maxmemory", 0)
    bench.submit()
    attempt = claim(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, large)
    assert len(bench.queries.get(attempt.job_id).stdout) == MEBIBYTE


def test_after_a_mebibyte_of_short_outputs_a_full_store_keeps_none(bench: Bench) -> None:
    bench.submit(2)
    large = Result(0, stdout="o" * 5000, stderr="e" * 5000)
    bench.client.hset(f"{ROOT}:counters", "kept_when_full", str(MEBIBYTE - 2048))
    fill_up(bench)
    for expected in (True, False):
        attempt = claim(bench)
        bench.claims.complete(attempt.job_id, attempt.holder, large)
        assert bench.claims.complete(attempt.job_id, attempt.holder, large).replayed is True
        job = bench.queries.get(attempt.job_id)
        assert (job.exit_code, bool(job.stdout), bool(job.stderr)) == (0, expected, expected)
        assert (job.measured.stdout_truncated, job.measured.stderr_truncated) == (True, True)
    assert bench.claims.complete(attempt.job_id, attempt.holder, large).replayed is True
    other = Result(0, stdout="O" * 5000, stderr="e" * 5001)
    with pytest.raises(NotRunning):
        bench.claims.complete(attempt.job_id, attempt.holder, other)


def test_a_pending_job_is_cancelled(bench: Bench) -> None:
    [job_id] = bench.submit()
    fill_up(bench)
    bench.commands.cancel(job_id)
    assert status_of(bench, job_id) is Status.CANCELLED


def test_a_running_job_is_asked_to_stop_and_released(bench: Bench) -> None:
    cancelled, released = start(bench), start(bench)
    fill_up(bench)
    assert bench.commands.cancel(cancelled.job_id, force=True) is Status.RUNNING
    assert bench.claims.release(cancelled.job_id, cancelled.holder) is Status.CANCELLED
    assert bench.claims.release(released.job_id, released.holder) is Status.PENDING


def test_a_running_program_s_output_is_dropped_and_its_offset_is_kept(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "begin ")))
    fill_up(bench)
    renewed = bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "begin, middle, ")))
    assert renewed.lease_ms == bench.policy.lease_ms
    part = bench.queries.output(attempt.job_id, Stream.STDOUT, 0).part
    assert (part.offset, part.data) == (15, "")
    bench.client.config_set("maxmemory", 0)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(15, "end")))
    part = bench.queries.output(attempt.job_id, Stream.STDOUT, 0).part
    assert (part.offset, part.data, part.next_offset) == (15, "end", 18)


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
    assert list(bench.executors()) == []
