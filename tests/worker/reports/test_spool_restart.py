"""Reports that one worker could not send are sent by the next worker on its host, but not while the first lives."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.child_script import line_from, running
from tests.support.fake_server import FakeServer, in_json, serving
from tests.support.spooling import ACCEPTED, BODY, IMPATIENT, UNAVAILABLE, Spooling, on_disk, spooling
from tests.support.waiting import wait_until

WORKER = """
import os, pathlib
from jobqueue import logs
from jobqueue.client.batches import Batches
from jobqueue.client.transport import Transport
from jobqueue.worker.reports.delivery import Delivery
from jobqueue.worker.reports.spool import Spool
logs.configure(sys.stderr)
def connect():
    return Batches(Transport(sys.argv[2]), "executor-1")
spool = Spool(pathlib.Path(sys.argv[1]), sys.argv[2])
delivery = Delivery(spool, connect)
delivery.start()
for job_id in sys.argv[3:]:
    body = open(os.memfd_create("body"), "w+b")
    body.write(b'{"exit_code": 0, "stdout": "\\xc3\\xbc"}')
    delivery.leave(spool.write(job_id, "complete", body, lambda: None))
print("sent", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Is away until a test says otherwise."""
    with serving(lambda _: UNAVAILABLE) as api:
        yield api


def worker(parent: Path, api: FakeServer, *job_ids: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that has reports of these jobs to send."""
    return running(WORKER, parent, api.url, *job_ids)


def wait_until_tried(process: subprocess.Popen[str]) -> None:
    assert line_from(process) == "sent\n"


def is_answering(thread: threading.Thread) -> bool:
    """Whether the thread is one of a fake server, which has one for each connection."""
    return "process_request_thread" in thread.name


def leave(parent: Path, api: FakeServer, *job_ids: str) -> None:
    """Kill a worker that could not send reports of these jobs. The API has read the last that it has sent."""
    with worker(parent, api, *job_ids) as process:
        wait_until_tried(process)
        process.kill()
    wait_until("the last try is read", lambda: not any(map(is_answering, threading.enumerate())))


def next_worker(parent: Path, api: FakeServer) -> AbstractContextManager[Spooling]:
    return spooling(parent, api, IMPATIENT, close_seconds=0.2)


def test_the_next_worker_sends_what_a_killed_one_could_not(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1", "job-2")
    api.requests.clear()
    api.answer = lambda _: ACCEPTED
    with capture_logs() as logs, next_worker(tmp_path, api) as reports:
        reports.wait_until_sent()
        assert on_disk(tmp_path) == []
    sent = {(request.method, request.path, request.body) for request in api.requests}
    assert sent == {("PUT", f"/jobs/job-{number}/complete", BODY) for number in (1, 2)}
    assert [log["job_id"] for log in logs if log["event"] == "report_found"] == ["job-1", "job-2"]
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_killed_in_the_middle_of_the_first_try_has_written_its_report(
    tmp_path: Path, api: FakeServer
) -> None:
    api.answer = lambda _: api.hang()
    with worker(tmp_path, api, "job-1") as process:
        wait_until("the report is being sent", lambda: len(api.requests) == 1)
        process.kill()
    api.answer = lambda _: ACCEPTED
    with next_worker(tmp_path, api) as reports:
        reports.wait_until_sent()
    assert [request.body for request in api.requests] == [BODY, BODY]


def test_reports_of_a_living_worker_are_left_to_it(tmp_path: Path, api: FakeServer) -> None:
    with worker(tmp_path, api, "job-1") as process:
        wait_until_tried(process)
        with next_worker(tmp_path, api) as reports:
            assert reports.delivery.wait_until_sent(0)
        assert on_disk(tmp_path) == [BODY]
        api.answer = lambda _: ACCEPTED
        wait_until("its owner has sent it", lambda: on_disk(tmp_path) == [])


def test_each_report_that_several_workers_left_is_sent_by_one_worker(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    leave(tmp_path, api, "job-2")
    leave(tmp_path, api)
    api.requests.clear()
    api.answer = lambda _: ACCEPTED
    with next_worker(tmp_path, api) as one, next_worker(tmp_path, api) as other:
        one.wait_until_sent()
        other.wait_until_sent()
    assert {request.path for request in api.requests} == {"/jobs/job-1/complete", "/jobs/job-2/complete"}
    assert list(tmp_path.iterdir()) == []


def test_reports_for_another_api_are_left_alone(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    with serving(lambda _: ACCEPTED) as other, next_worker(tmp_path, other) as reports:
        assert reports.delivery.wait_until_sent(0)
        assert other.requests == []
    assert on_disk(tmp_path) == [BODY]


def test_a_report_that_was_refused_meanwhile_is_dropped(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    api.answer = lambda _: in_json({"error": "Invalid state transition", "context": {}}, 400)
    with next_worker(tmp_path, api) as reports:
        reports.wait_until_sent()
    assert list(tmp_path.iterdir()) == []


def test_half_a_report_and_other_files_are_removed_and_not_sent(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    (directory / "job-2.complete.0123abcd.part").write_text('{"exit_co')
    (directory / "job-3.submit.0123abcd.json").write_text("{}")
    (directory / "notes.json").write_text("{}")
    api.requests.clear()
    api.answer = lambda _: ACCEPTED
    with next_worker(tmp_path, api) as reports:
        reports.wait_until_sent()
    assert {request.path for request in api.requests} == {"/jobs/job-1/complete"}
    assert list(tmp_path.iterdir()) == []


def test_a_report_goes_from_worker_to_worker_until_it_is_answered(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    for _ in range(3):
        leave(tmp_path, api)
        assert on_disk(tmp_path) == [BODY]
    api.answer = lambda _: ACCEPTED
    with next_worker(tmp_path, api) as reports:
        reports.wait_until_sent()


def test_a_spool_directory_is_removed_when_no_report_waits(tmp_path: Path, api: FakeServer) -> None:
    with next_worker(tmp_path, api):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hangs", [False, True], ids=["away", "hanging"])
def test_closing_a_delivery_takes_its_time_and_leaves_the_rest_to_the_next_worker(
    tmp_path: Path, api: FakeServer, hangs: bool
) -> None:
    api.answer = lambda _: api.hang() if hangs else UNAVAILABLE
    with spooling(tmp_path, api, replace(IMPATIENT, first_try=0.1)) as reports:
        for number in (1, 2, 3):
            reports.send(f"job-{number}")
        begun = time.monotonic()
        with capture_logs() as logs:
            reports.delivery.close(0.3)
        assert time.monotonic() - begun < 10
    assert [(log["event"], log["reports"]) for log in logs] == [("reports_left", 3)]
    assert on_disk(tmp_path) == [BODY] * 3
    if not hangs:
        wait_until("its thread ends", lambda: "delivery" not in [thread.name for thread in threading.enumerate()])
    api.answer = lambda _: ACCEPTED
    with next_worker(tmp_path, api) as following:
        following.wait_until_sent()
    assert list(tmp_path.iterdir()) == []


def test_reports_that_can_be_sent_while_a_delivery_is_closed_are_sent(tmp_path: Path, api: FakeServer) -> None:
    with spooling(tmp_path, api, IMPATIENT) as reports:
        reports.send()
        back_at = time.monotonic() + 0.2
        api.answer = lambda request: ACCEPTED if request.at > back_at else UNAVAILABLE
        begun = time.monotonic()
        reports.delivery.close(20)
        assert time.monotonic() - begun < 10
    assert list(tmp_path.iterdir()) == []


def test_closing_a_delivery_takes_no_time_when_no_report_waits(tmp_path: Path, api: FakeServer) -> None:
    with spooling(tmp_path, api, IMPATIENT) as reports:
        begun = time.monotonic()
        reports.delivery.close(20)
        assert time.monotonic() - begun < 5


def test_reports_can_be_read_by_their_user_alone(tmp_path: Path, api: FakeServer) -> None:
    """They contain what a program wrote and the token of its attempt."""
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.stat().st_uid == os.geteuid()


def test_the_name_of_a_spool_directory_does_not_show_the_api(tmp_path: Path, api: FakeServer) -> None:
    """Its URL may hold a password."""
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    assert "127.0.0.1" not in directory.name
    assert not any(b"127.0.0.1" in path.read_bytes() for path in directory.iterdir())
