"""How a program ended is told to the API, for as long as it takes the API to hear it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import ClaimedJob, Claims, Report
from jobqueue.worker.report import deliver, make_report
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.supervisor import Outcome
from tests.client.fake_server import Reply, Request, in_json
from tests.servers import wait_until
from tests.worker.fake_api import AWAY, FakeApi

JOB = ClaimedJob("job-1", "http://host/program", "ab" * 32, [], {}, "token-1", 300)
YES = in_json({"status": "completed"})

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize(
    ("outcome", "report"),
    [
        (Outcome(0, "out", "err"), Report(0, "out", "err")),
        (Outcome(3, "out", "err"), Report(3, "out", "err", "exited with code 3")),
        (Outcome(137), Report(137, error_message="exited with code 137")),
        (Outcome(137, signal=9), Report(137, error_message="killed by signal 9 (SIGKILL)")),
        (Outcome(168, signal=40), Report(168, error_message="killed by signal 40 (unknown)")),
        (Outcome(not_started="could not be started: …"), Report(None, error_message="could not be started: …")),
    ],
)
def test_only_exit_code_0_is_a_success_and_all_else_says_why(outcome: Outcome, report: Report) -> None:
    assert make_report(outcome) == report
    assert report.verb == ("complete" if outcome.exit_code == 0 else "fail")


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_report_is_sent_once_when_it_is_answered(api: FakeApi, claims: Claims, verb: str) -> None:
    report = Report(0, "out") if verb == "complete" else Report(1, "out", error_message="exited with code 1")
    with capture_logs() as logs:
        deliver(claims, JOB, report, Shutdown())
    ((sent, body),) = api.reports()
    assert (sent, body["stdout"], body["attempt_token"]) == (verb, "out", "token-1")
    assert [(log["event"], log["job_id"]) for log in logs] == [(verb, "job-1")]


def test_a_report_is_delivered_when_the_api_comes_back(api: FakeApi, claims: Claims) -> None:
    """However many leases later: perhaps nobody else has had the job meanwhile."""
    back_at = time.monotonic() + 3 * JOB.lease_ms / 1000
    api.answers["complete"] = lambda request: YES if request.at > back_at else AWAY
    deliver(claims, JOB, Report(0, "out"), Shutdown())
    bodies = [body for _, body in api.reports()]
    assert len(bodies) > 3
    assert bodies == [bodies[0]] * len(bodies)


@pytest.mark.parametrize("status", [400, 404, 413])
def test_a_refused_report_is_dropped_and_logged(api: FakeApi, claims: Claims, status: int) -> None:
    api.answers["complete"] = lambda _: in_json({"error": "Invalid state transition", "context": {}}, status)
    with capture_logs() as logs:
        deliver(claims, JOB, Report(0), Shutdown())
    assert len(api.reports()) == 1
    assert [(log["event"], log["job_id"]) for log in logs] == [("report_refused", "job-1")]
    assert "Invalid state transition" in logs[0]["reason"]


def test_it_gives_up_one_lease_after_the_worker_was_asked_to_stop(api: FakeApi, claims: Claims) -> None:
    shutdown = Shutdown()
    api.answers["complete"] = lambda _: AWAY
    shutdown.request()
    begun = time.monotonic()
    with capture_logs() as logs:
        deliver(claims, JOB, Report(0), shutdown)
    assert JOB.lease_ms / 1000 <= time.monotonic() - begun < 10 * JOB.lease_ms / 1000
    assert [log["event"] for log in logs] == ["report_given_up"]
    assert len(api.reports()) > 3


def test_that_lease_begins_when_the_worker_is_asked_and_not_before(api: FakeApi, claims: Claims) -> None:
    shutdown = Shutdown()
    asked_at: list[float] = []

    def ask() -> None:
        asked_at.append(time.monotonic())
        shutdown.request()

    api.answers["complete"] = lambda _: AWAY
    threading.Timer(2 * JOB.lease_ms / 1000, ask).start()
    deliver(claims, JOB, Report(0), shutdown)
    assert time.monotonic() - asked_at[0] >= JOB.lease_ms / 1000


def test_a_report_is_still_delivered_while_the_worker_stops(api: FakeApi, claims: Claims) -> None:
    shutdown = Shutdown()
    shutdown.request()
    api.answers["complete"] = lambda _: YES if len(api.reports()) > 5 else AWAY
    with capture_logs() as logs:
        deliver(claims, replace(JOB, lease_ms=60_000), Report(0), shutdown)
    assert [log["event"] for log in logs] == ["complete"]


def test_an_answer_that_was_lost_is_asked_for_again(api: FakeApi, claims: Claims) -> None:
    """The connection breaks after the API has stored the result; the repeat is the same to the last byte."""

    def answer(request: Request) -> Reply:
        return Reply(length=100) if len(api.reports()) == 1 else YES

    api.answers["complete"] = answer
    deliver(claims, JOB, Report(0, "out"), Shutdown())
    first, second = api.seen("complete")
    assert first.body == second.body


def test_nothing_is_waited_for_when_the_api_answers_at_once(
    api: FakeApi, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("slept"))
    deliver(claims, JOB, Report(0), Shutdown())
    monkeypatch.undo()
    wait_until("it is there", lambda: len(api.reports()) == 1)
