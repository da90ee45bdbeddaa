"""New reports go together, with a claim for more jobs, and none waits long for a request that is stuck."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.client.batches import ClaimRequest
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.job import Reason
from jobqueue.worker.reports import outbox
from jobqueue.worker.reports.outage import TimeLimits
from jobqueue.worker.reports.report import failed
from tests.support.fake_api import AWAY, REFUSED, YES, FakeApi
from tests.support.fake_server import Reply, Request, in_json
from tests.support.programs import SHELL
from tests.support.spooling import SHORT_PAUSES, Answered, Spooling, connect_to, spooling
from tests.support.waiting import wait_until


@pytest.fixture
def reports(api: FakeApi, tmp_path: Path) -> Iterator[Spooling]:
    with spooling(tmp_path, api.server, SHORT_PAUSES) as reports:
        yield reports


@dataclass
class Places:
    """An intake that claims one job for each report."""

    is_supplied: bool = False
    freed: int = 0
    jobs: list[ClaimedJob] = field(default_factory=list)
    refusals: list[ClaimRequest] = field(default_factory=list)
    repeated: list[ClaimRequest] = field(default_factory=list)

    def free(self, count: int) -> None:
        self.freed += count

    def ask(self, count: int) -> ClaimRequest | None:
        return ClaimRequest(count)

    def take(self, request: ClaimRequest, jobs: Sequence[ClaimedJob]) -> None:
        self.jobs += jobs

    def refused(self, request: ClaimRequest) -> None:
        self.refusals.append(request)

    def repeat(self, request: ClaimRequest) -> None:
        self.repeated.append(request)


def leave(reports: Spooling, *job_ids: str, answered: Answered | None = None) -> None:
    for job_id in job_ids:
        holder = {"executor_id": "executor-1", "attempt_token": f"token-{job_id}"}
        line = failed(Reason.EXEC_FAILED, "no program").line(job_id, holder)
        assert line is not None
        reports.delivery.leave(reports.spool.append(job_id, "fail", line, answered or Answered()))


def batches(api: FakeApi) -> list[list[str]]:
    bodies = [request.json for request in list(api.server.requests) if request.path == "/jobs/bulk/finish"]
    return [[result["id"] for result in body["results"]] for body in bodies]


def held_back(api: FakeApi) -> threading.Event:
    """Hold the first report up until the event is set."""
    go_on, first = threading.Event(), threading.Lock()

    def answer(_: Request) -> Reply:
        if first.acquire(blocking=False):
            assert go_on.wait(20)
        return YES

    api.answers["fail"] = answer
    return go_on


def test_what_ends_while_a_batch_is_under_way_goes_with_the_next_one(api: FakeApi, reports: Spooling) -> None:
    go_on = held_back(api)
    with capture_logs() as logs:
        leave(reports, "job-1")
        wait_until("the first is under way", lambda: len(batches(api)) == 1)
        leave(reports, "job-2", "job-3", "job-4")
        go_on.set()
        reports.wait_until_sent()
    assert batches(api) == [["job-1"], ["job-2", "job-3", "job-4"]]
    assert [(log["event"], log["job_id"]) for log in logs] == [("fail", f"job-{number}") for number in (1, 2, 3, 4)]
    assert list(reports.parent.glob("*/*.json")) == []


def test_reports_do_not_wait_for_a_batch_that_is_stuck(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.client.exchange.MAX_SILENCE_SECONDS", 60)
    go_on, answered = held_back(api), Answered()
    with spooling(tmp_path, api.server, TimeLimits(first_try=60)) as reports:
        leave(reports, "job-1")
        wait_until("the first is under way", lambda: len(batches(api)) == 1)
        leave(reports, "job-2", answered=answered)
        wait_until("the second is answered", lambda: answered.times == 1, 15)
        go_on.set()
        reports.wait_until_sent()


def test_a_refused_report_of_a_batch_is_dropped_and_the_others_count(api: FakeApi, reports: Spooling) -> None:
    go_on, answered = held_back(api), [Answered() for _ in range(3)]
    with capture_logs() as logs:
        leave(reports, "job-0")
        wait_until("the first is under way", lambda: len(batches(api)) == 1)
        for number, each in enumerate(answered, 1):
            leave(reports, f"job-{number}", answered=each)
        api.answers["fail"] = lambda request: REFUSED if "job-2" in request.path else YES
        go_on.set()
        reports.wait_until_sent()
    assert [each.times for each in answered] == [1, 1, 1]
    assert [log["job_id"] for log in logs if log["event"] == "report_refused"] == ["job-2"]
    assert len(batches(api)) == 2


def test_a_report_that_the_api_cannot_store_now_is_sent_again_by_itself(api: FakeApi, reports: Spooling) -> None:
    answers = iter([AWAY])
    api.answers["fail"] = lambda _: next(answers, YES)
    leave(reports, "job-1")
    reports.wait_until_sent()
    assert batches(api) == [["job-1"]]
    assert [request.path for request in api.server.requests][1:] == ["/jobs/job-1/fail"]


def test_a_batch_that_is_refused_as_a_whole_is_sent_one_by_one(api: FakeApi, reports: Spooling) -> None:
    places = Places()
    reports.delivery.claim_along(places)
    whole = in_json({"error": "Invalid request", "context": {"results": ["no"]}}, 400)
    api.server.answer = lambda request: whole if "/bulk/" in request.path else api.answer(request)
    leave(reports, "job-1")
    reports.wait_until_sent()
    assert [request.path for request in api.server.requests] == ["/jobs/bulk/finish", "/jobs/job-1/fail"]
    assert len(places.refusals) == 1


def test_an_older_api_gets_every_report_by_itself(tmp_path: Path) -> None:
    api = FakeApi(older=True)
    api.server.start()
    places = Places()
    with spooling(tmp_path, api.server, SHORT_PAUSES) as reports:
        reports.delivery.claim_along(places)
        leave(reports, "job-1")
        reports.wait_until_sent()
        leave(reports, "job-2", "job-3")
        reports.wait_until_sent()
    api.server.close()
    assert len(batches(api)) == 1
    assert {request.path for request in api.seen("fail")} == {f"/jobs/job-{number}/fail" for number in (1, 2, 3)}
    assert places.freed == 2


def test_the_jobs_of_a_claim_along_with_reports_are_taken(api: FakeApi, reports: Spooling) -> None:
    places = Places()
    reports.delivery.claim_along(places)
    offered = api.offer(SHELL)
    leave(reports, "job-7")
    reports.wait_until_sent()
    assert [job.id for job in places.jobs] == [offered.id]


def test_reports_wait_a_moment_for_others_while_the_worker_has_jobs_enough(
    api: FakeApi, reports: Spooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "GATHER_SECONDS", 0.5)
    reports.delivery.claim_along(Places(is_supplied=True))
    for number in range(3):
        leave(reports, f"job-{number}")
    reports.wait_until_sent()
    assert batches(api) == [["job-0", "job-1", "job-2"]]


def test_a_claim_along_with_reports_is_repeated_until_it_is_answered(api: FakeApi, reports: Spooling) -> None:
    """The answer is lost: by the name of the claim the API answers the same jobs again."""
    places = Places()
    reports.delivery.claim_along(places)
    offered, lost = api.offer(SHELL), iter([True])

    def lose_first(request: Request) -> Reply:
        reply = api.answer(request)
        return AWAY if "/bulk/" in request.path and next(lost, False) else reply

    api.server.answer = lose_first
    leave(reports, "job-7")
    reports.wait_until_sent()
    (request,) = places.repeated
    with closing(connect_to(api.server)) as connection:
        assert [job.id for job in connection.claim(request)] == [offered.id]
