"""Reports do not wait for one another, nor for a connection that leads nowhere, and never come as a herd."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs

from jobqueue.client.batches import Batches
from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.reports import delivery, outage
from jobqueue.worker.reports.delivery import Delivery, TimeLimits
from jobqueue.worker.reports.spool import Spool
from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.silencing import leading_to
from tests.support.spooling import ACCEPTED, SHORT_PAUSES, UNAVAILABLE, Answered, in_memory, spooling
from tests.support.waiting import wait_until


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Accepts every report until a test says otherwise."""
    with serving(lambda _: ACCEPTED) as api:
        yield api


def job_of(request: Request) -> str:
    return request.path.split("/")[2]


def test_a_result_does_not_wait_for_a_connection_that_passes_nothing(api: FakeServer, tmp_path: Path) -> None:
    """The connection worked for the last report, and other connections still do."""
    with leading_to(api.url) as way:
        api.url = way.url
        with spooling(tmp_path, api, TimeLimits(later_try=60)) as reports:
            reports.send("job-1")
            reports.wait_until_sent()
            way.silence()
            begun, answered = time.monotonic(), Answered()
            reports.send("job-2", on_done=answered)
            wait_until("the result is taken", lambda: answered.times == 1)
            assert time.monotonic() - begun < 20
        assert [job_of(request) for request in api.requests] == ["job-1", "job-2"]


def test_reports_do_not_wait_for_one_that_is_not_answered(api: FakeServer, tmp_path: Path) -> None:
    """A report that was left to the threads is sent beside others: here beside three that hang."""
    hanging = {"job-0", "job-1", "job-2"}
    api.answer = lambda request: api.hang() if job_of(request) in hanging else ACCEPTED
    with spooling(tmp_path, api, replace(SHORT_PAUSES, later_try=60)) as reports:
        for job_id in hanging:
            reports.delivery.leave(reports.spool.write(job_id, "complete", in_memory(), lambda: None))
        wait_until("they hang", lambda: {job_of(request) for request in api.requests} == hanging)
        answered = Answered()
        reports.delivery.leave(reports.spool.write("job-3", "complete", in_memory(), answered))
        wait_until("the other one is answered", lambda: answered.times == 1)
        api.close()


def test_a_new_report_does_not_wait_for_the_pause_of_an_old_one(
    api: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer = lambda request: UNAVAILABLE if job_of(request) == "job-1" else ACCEPTED
    monkeypatch.setattr(outage, "backoff", lambda *_: iter([0.0, *[3600.0] * 9]))
    with spooling(tmp_path, api, TimeLimits()) as reports:
        reports.send("job-1")
        wait_until("its second pause has begun", lambda: len(api.requests) == 2)
        answered = Answered()
        reports.send("job-2", on_done=answered)
        wait_until("the second report is answered", lambda: answered.times == 1)


def test_an_api_that_is_away_is_asked_about_one_report_at_a_time(api: FakeServer, tmp_path: Path) -> None:
    busy, most = 0, 0
    lock = threading.Lock()

    def refuse(_: Request) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return UNAVAILABLE

    api.answer = refuse
    with spooling(tmp_path, api, TimeLimits(min_retry_pause=0.01, max_retry_pause=0.05)) as reports:
        for number in range(50):
            reports.send(f"job-{number}")
        wait_until("the first tries are over", lambda: len(api.requests) >= 20)
        asked = len(api.requests)
        most = 0
        wait_until("it was asked again", lambda: len(api.requests) > asked + 10)
        assert most <= 2  # one that was tried before, and one that was not
        api.answer = lambda _: ACCEPTED
        reports.wait_until_sent()


def test_a_large_report_gets_the_time_that_a_slow_link_needs(
    api: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []

    def note(_: Claims, _job_id: str, _verb: str, _body: IO[bytes], within_seconds: float) -> None:
        limits.append(within_seconds)

    monkeypatch.setattr(Claims, "report", note)
    spool = Spool(tmp_path, api.url)
    delivery_of_all = Delivery(spool, lambda: Batches(Transport(api.url), "executor-1"))
    delivery_of_all.start()
    delivery_of_all.leave(spool.write("job-1", "complete", in_memory(bytes(13 * 1024**2)), lambda: None))
    assert delivery_of_all.wait_until_sent(20)
    delivery_of_all.close(0)
    assert limits == [10 + 13 * 1024**2 / (16 * 1024)]


@pytest.mark.parametrize("error", [AttributeError("settimeout"), RecursionError(), KeyError("x"), UnicodeError()])
def test_an_unexpected_error_is_logged_as_a_bug_and_the_report_is_sent_again(
    api: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    report, failures = Claims.report, [error] * (1 + 2 * delivery.SENDERS)

    def fail_first(self: Claims, *arguments: object) -> None:
        if failures:
            raise failures.pop()
        report(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Claims, "report", fail_first)
    with capture_logs() as logs, spooling(tmp_path, api, SHORT_PAUSES) as reports:
        reports.send("job-1")
        reports.wait_until_sent()
    assert [log["event"] for log in logs] == ["crash"] * 9 + ["complete"]
