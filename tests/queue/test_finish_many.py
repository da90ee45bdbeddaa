"""`Claims.finish_many`: many reports and a claim, each a step of its own, in one round trip."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from jobqueue import logs
from jobqueue.errors import JobNotFound, LeaseLost, NotRunning, StoreUnavailable
from jobqueue.job import Reason, Status
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.connection import connect
from jobqueue.queue.records.reports import Finished, Report, Verb
from jobqueue.result import Holder, Result
from tests.support.attempts import BROKEN, DONE, Attempt, start, status_of
from tests.support.bench import Bench
from tests.support.redis_proxy import Proxy

RELEASED = Result(None, reason=Reason.WORKER_SHUTDOWN)


def report(verb: Verb, attempt: Attempt, result: Result = DONE) -> Report:
    """Return a report about an attempt."""
    return Report(verb, attempt.job_id, attempt.holder, result)


def test_each_report_is_stored_or_refused_for_itself(bench: Bench) -> None:
    attempts = [start(bench) for _ in range(3)]
    stale = Attempt(attempts[0].job_id, Holder("executor-1", "made up"))
    unknown = Attempt("?", attempts[0].holder)
    finished = bench.claims.finish_many(
        [
            report(Verb.COMPLETE, stale),
            report(Verb.COMPLETE, attempts[0]),
            report(Verb.FAIL, unknown, BROKEN),
            report(Verb.FAIL, attempts[1], BROKEN),
            report(Verb.RELEASE, attempts[2], RELEASED),
            report(Verb.RELEASE, attempts[2], RELEASED),
        ]
    )
    assert [result if isinstance(result, Finished) else type(result) for result in finished.results] == [
        LeaseLost,
        Finished(Status.COMPLETED, False),
        JobNotFound,
        Finished(Status.FAILED, False),
        Finished(Status.PENDING, False),
        NotRunning,
    ]
    assert finished.claimed is None
    assert bench.queries.get(attempts[1].job_id).error_message == BROKEN.error_message


def test_the_same_reports_again_are_replays(bench: Bench) -> None:
    attempts = [start(bench) for _ in range(2)]
    reports = [report(Verb.COMPLETE, attempts[0]), report(Verb.FAIL, attempts[1], BROKEN)]
    bench.claims.finish_many(reports)
    again = bench.claims.finish_many(reports)
    assert again.results == [Finished(Status.COMPLETED, True), Finished(Status.FAILED, True)]
    [executor] = bench.executors()
    assert executor.jobs_completed == 1


def test_the_claim_comes_after_the_reports(bench: Bench) -> None:
    bench.claims.release((known := start(bench)).job_id, known.holder)  # what Redis does not know yet would come last
    bench.commands.cancel(known.job_id)
    attempt = start(bench)
    others = bench.submit(2)
    request = ClaimRequest("executor-1", max_jobs=2, claim_id="a name")
    reports = [report(Verb.RELEASE, attempt, RELEASED)]
    finished = bench.claims.finish_many(reports, request)
    assert finished.claimed is not None
    assert [each.job.id for each in finished.claimed.jobs] == [attempt.job_id, others[0]]
    again = bench.claims.finish_many(reports, request)
    assert isinstance(again.results[0], LeaseLost)
    assert again.claimed is not None
    assert (again.claimed.replayed, again.claimed.jobs) == (True, finished.claimed.jobs)


def test_reports_whose_answers_were_lost_can_be_sent_again(proxy: Proxy) -> None:
    with connect(proxy.url) as client, connect(proxy.url) as another:
        bench = Bench(client)
        attempts = [start(bench) for _ in range(3)]
        next_jobs = bench.submit(2)
        reports = [report(Verb.COMPLETE, attempt) for attempt in attempts]
        request = ClaimRequest("executor-1", max_jobs=2, claim_id="a name")
        proxy.cut_answers = True
        with pytest.raises(StoreUnavailable):
            bench.claims.finish_many(reports, request)
        proxy.cut_answers = False
        bench = Bench(another)
        again = bench.claims.finish_many(reports, request)
        assert [type(result) for result in again.results] == [Finished] * 3
        assert again.claimed is not None
        assert [each.job.id for each in again.claimed.jobs] == next_jobs
        assert {status_of(bench, attempt.job_id) for attempt in attempts} == {Status.COMPLETED}


def test_a_claim_that_was_not_served_makes_the_whole_request_one_to_send_again(real_bench: Bench) -> None:
    """Redis refuses the claim alone here, as it does when the server becomes a replica between the steps."""
    bench = real_bench
    attempt = start(bench)

    def call_many(calls: list[object]) -> list[object]:
        return [*real(calls[:-1]), StoreUnavailable()]  # type: ignore[arg-type]

    real = bench.scripts.call_many
    bench.scripts.call_many = call_many  # type: ignore[assignment, method-assign]
    reports = [report(Verb.COMPLETE, attempt)]
    with pytest.raises(StoreUnavailable):
        bench.claims.finish_many(reports, ClaimRequest("executor-1"))
    bench.scripts.call_many = real  # type: ignore[method-assign]
    assert bench.claims.finish_many(reports).results == [Finished(Status.COMPLETED, True)]


def test_many_reports_are_one_line_of_the_log(bench: Bench) -> None:
    first, second = start(bench), start(bench)
    logs.flush()
    with capture_logs() as logged:
        bench.claims.finish_many(
            [report(Verb.COMPLETE, first), report(Verb.COMPLETE, first), report(Verb.COMPLETE, second)]
        )
    assert logged == [
        {
            "event": "finish",
            "log_level": "info",
            "executor_id": "executor-1",
            "jobs": 3,
            "replays": 1,
            "completed": f"{first.job_id} {first.job_id} {second.job_id}",
        }
    ]
