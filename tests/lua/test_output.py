"""`lua/output.lua`: the output of a program and the status of its job, from one moment."""

from __future__ import annotations

import pytest

from jobqueue.errors import JobNotFound
from jobqueue.job import Measured, Status, Stream
from jobqueue.output import HALF_BYTES, missing_line
from jobqueue.queue.queries import Output
from jobqueue.queue.records.output_window import Part
from jobqueue.result import LiveOutput, Piece, Result
from tests.support.attempts import BROKEN, DONE, claim, let_leases_end, lose, start
from tests.support.bench import Bench
from tests.support.contents import contents


def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobNotFound):
        bench.queries.output("no-such-job", Stream.STDOUT, 0)


@pytest.mark.parametrize("offset", [0, 5])
def test_a_pending_job_has_written_nothing(bench: Bench, offset: int) -> None:
    [job_id] = bench.submit()
    assert bench.queries.output(job_id, Stream.STDERR, offset) == Output(Status.PENDING, Part(0, "", 0))


def test_live_output_is_available_as_soon_as_it_is_reported(bench: Bench) -> None:
    attempt = start(bench)
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, 0) == Output(Status.RUNNING, Part(0, "", 0))
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out"), Piece(9, "err")))
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, 1) == Output(Status.RUNNING, Part(1, "ut", 3))
    assert bench.queries.output(attempt.job_id, Stream.STDERR, 1) == Output(Status.RUNNING, Part(9, "err", 12))
    assert not bench.queries.output(attempt.job_id, Stream.STDERR, 1).ended


def test_the_output_of_a_lost_attempt_is_gone(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out")))
    let_leases_end(bench)
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, 3) == Output(Status.PENDING, Part(0, "", 0))


def test_the_output_of_an_ended_job_is_the_stored_output(bench: Bench) -> None:
    completed, failed = start(bench), start(bench)
    bench.claims.heartbeat(completed.job_id, completed.holder, LiveOutput(Piece(0, "ou")))
    bench.claims.complete(completed.job_id, completed.holder, DONE)
    bench.claims.fail(failed.job_id, failed.holder, BROKEN)
    assert bench.queries.output(completed.job_id, Stream.STDOUT, 2) == Output(Status.COMPLETED, Part(2, "t", 3))
    assert bench.queries.output(failed.job_id, Stream.STDERR, 0) == Output(Status.FAILED, Part(0, "err", 3))
    assert bench.queries.output(failed.job_id, Stream.STDERR, 0).ended


def test_a_job_that_ended_without_a_result_has_no_output(bench: Bench) -> None:
    [cancelled] = bench.submit()
    bench.commands.cancel(cancelled)
    assert bench.queries.output(cancelled, Stream.STDOUT, 7) == Output(Status.CANCELLED, Part(0, "", 0))
    lost = lose(bench)
    for _ in range(bench.policy.max_attempts - 1):
        claim(bench)
        let_leases_end(bench)
    assert bench.queries.output(lost.job_id, Stream.STDOUT, 7) == Output(Status.FAILED, Part(0, "", 0))


def test_each_stream_is_truncated_on_its_own(bench: Bench) -> None:
    attempt = start(bench)
    text = "h" * HALF_BYTES + missing_line(100) + "t" * HALF_BYTES
    measured = Measured(stdout_bytes=2 * HALF_BYTES + 100, stdout_truncated=True)
    bench.claims.complete(attempt.job_id, attempt.holder, Result(0, text, text, measured=measured))
    total_bytes = 2 * HALF_BYTES + 100
    offset = total_bytes - 3
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, offset).part == Part(offset, "ttt", total_bytes)
    whole = len(text)
    assert bench.queries.output(attempt.job_id, Stream.STDERR, whole - 2).part == Part(whole - 2, "tt", whole)


def test_reading_changes_nothing(bench: Bench) -> None:
    attempt = start(bench)
    bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "out")))
    before = contents(bench.client)
    bench.queries.output(attempt.job_id, Stream.STDOUT, 0)
    assert contents(bench.client) == before
