"""What one worker could not send the next one on its host does, and nobody else while it lives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import repeat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.attempts import spool as room
from jobqueue.worker.attempts.spool import Spool
from tests.support.fake_server import FakeServer, in_json, serving
from tests.support.waiting import wait_until
from tests.worker.attempts.test_spool import AWAY, BODY, YES, connected, in_memory, is_sent, on_disk

ROOT = str(Path(__file__).parents[3])
WORKER = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from jobqueue import logs
from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.worker.attempts.spool import Spool
logs.configure(sys.stderr)
def connect():
    return Claims(Transport(sys.argv[3]), "executor-1")
spool = Spool(pathlib.Path(sys.argv[2]), sys.argv[3], connect)
spool.start()
for job_id in sys.argv[4:]:
    body = open(os.memfd_create("body"), "w+b")
    body.write(b'{"exit_code": 0, "stdout": "\\xc3\\xbc"}')
    spool.send(connect(), job_id, "complete", body, lambda: None)
print("sent", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "backoff", lambda *_: repeat(0.01))
    monkeypatch.setattr(room, "LAST_TRY_SECONDS", 0.3)


@pytest.fixture
def api() -> Iterator[FakeServer]:
    """Is away until told otherwise."""
    with serving(lambda _: AWAY) as api:
        yield api


@contextmanager
def worker(parent: Path, api: FakeServer, *job_ids: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that has reports of these jobs to send."""
    command = [sys.executable, "-c", WORKER, ROOT, str(parent), api.url, *job_ids]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def has_sent(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "sent\n"


def leave(parent: Path, api: FakeServer, *job_ids: str) -> None:
    """Have a worker killed that could not send reports of these jobs. The API may yet see its last try."""
    with worker(parent, api, *job_ids) as process:
        has_sent(process)
        process.kill()


@contextmanager
def next_worker(parent: Path, api: FakeServer) -> Iterator[Spool]:
    spool = Spool(parent, api.url, lambda: connected(api))
    spool.start()
    yield spool
    spool.close(0.2)


def test_the_next_worker_sends_what_a_killed_one_could_not(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1", "job-2")
    api.requests.clear()
    api.answer = lambda _: YES
    with capture_logs() as logs, next_worker(tmp_path, api) as spool:
        is_sent(spool)
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
    api.answer = lambda _: YES
    with next_worker(tmp_path, api) as spool:
        is_sent(spool)
    assert [request.body for request in api.requests] == [BODY, BODY]


def test_what_a_living_worker_has_is_its_own(tmp_path: Path, api: FakeServer) -> None:
    with worker(tmp_path, api, "job-1") as process:
        has_sent(process)
        with next_worker(tmp_path, api) as spool:
            assert spool.wait_until_sent(0)
        assert on_disk(tmp_path) == [BODY]
        api.answer = lambda _: YES
        wait_until("its owner has sent it", lambda: on_disk(tmp_path) == [])


def is_answering(thread: threading.Thread) -> bool:
    """Whether it is one of a fake server's, which has one for each connection."""
    return "process_request_thread" in thread.name


def test_what_several_workers_left_is_sent_by_one(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    leave(tmp_path, api, "job-2")
    leave(tmp_path, api)
    wait_until("the last tries of the killed ones are heard", lambda: not any(map(is_answering, threading.enumerate())))
    api.requests.clear()
    api.answer = lambda _: YES
    with next_worker(tmp_path, api) as one, next_worker(tmp_path, api) as other:
        is_sent(one)
        is_sent(other)
    assert {request.path for request in api.requests} == {"/jobs/job-1/complete", "/jobs/job-2/complete"}
    assert list(tmp_path.iterdir()) == []


def test_reports_for_another_api_are_left_alone(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    with serving(lambda _: YES) as other, next_worker(tmp_path, other) as spool:
        assert spool.wait_until_sent(0)
        assert other.requests == []
    assert on_disk(tmp_path) == [BODY]


def test_a_report_that_was_refused_meanwhile_is_dropped(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    api.answer = lambda _: in_json({"error": "Invalid state transition", "context": {}}, 400)
    with next_worker(tmp_path, api) as spool:
        is_sent(spool)
    assert list(tmp_path.iterdir()) == []


def test_half_a_report_and_what_is_none_are_not_sent_and_removed(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    (directory / "job-2.complete.0123abcd.part").write_text('{"exit_co')
    (directory / "job-3.submit.0123abcd.json").write_text("{}")
    (directory / "notes.json").write_text("{}")
    api.requests.clear()
    api.answer = lambda _: YES
    with next_worker(tmp_path, api) as spool:
        is_sent(spool)
    assert {request.path for request in api.requests} == {"/jobs/job-1/complete"}
    assert list(tmp_path.iterdir()) == []


def test_a_report_goes_from_worker_to_worker_until_it_is_answered(tmp_path: Path, api: FakeServer) -> None:
    leave(tmp_path, api, "job-1")
    for _ in range(3):
        leave(tmp_path, api)
        assert on_disk(tmp_path) == [BODY]
    api.answer = lambda _: YES
    with next_worker(tmp_path, api) as spool:
        is_sent(spool)


def test_nothing_is_left_when_nothing_waits(tmp_path: Path, api: FakeServer) -> None:
    with next_worker(tmp_path, api):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hangs", [False, True], ids=["away", "hanging"])
def test_closing_takes_its_time_and_leaves_the_rest_to_the_next_worker(
    tmp_path: Path, api: FakeServer, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FIRST_TRY_SECONDS", 0.1)
    api.answer = lambda _: api.hang() if hangs else AWAY
    spool = Spool(tmp_path, api.url, lambda: connected(api))
    spool.start()
    with closing(connected(api)) as claims:
        for number in (1, 2, 3):
            spool.send(claims, f"job-{number}", "complete", in_memory(), lambda: None)
    begun = time.monotonic()
    with capture_logs() as logs:
        spool.close(0.3)
    assert time.monotonic() - begun < 10
    assert [(log["event"], log["reports"]) for log in logs] == [("reports_left", 3)]
    assert on_disk(tmp_path) == [BODY] * 3
    if not hangs:
        wait_until("its thread ends", lambda: "spool" not in [thread.name for thread in threading.enumerate()])
    api.answer = lambda _: YES
    with next_worker(tmp_path, api) as following:
        is_sent(following)
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_sent_before_it_is_closed_is(tmp_path: Path, api: FakeServer) -> None:
    spool = Spool(tmp_path, api.url, lambda: connected(api))
    spool.start()
    with closing(connected(api)) as claims:
        spool.send(claims, "job-1", "complete", in_memory(), lambda: None)
    back_at = time.monotonic() + 0.2
    api.answer = lambda request: YES if request.at > back_at else AWAY
    begun = time.monotonic()
    spool.close(20)
    assert time.monotonic() - begun < 10
    assert list(tmp_path.iterdir()) == []


def test_closing_waits_for_nothing_when_nothing_waits(tmp_path: Path, api: FakeServer) -> None:
    spool = Spool(tmp_path, api.url, lambda: connected(api))
    spool.start()
    begun = time.monotonic()
    spool.close(20)
    assert time.monotonic() - begun < 5


def test_reports_are_for_their_user_alone(tmp_path: Path, api: FakeServer) -> None:
    """They hold what a program said and the token of its attempt."""
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.stat().st_uid == os.geteuid()


def test_the_api_cannot_be_told_from_the_directory(tmp_path: Path, api: FakeServer) -> None:
    """Its URL may hold a password."""
    leave(tmp_path, api, "job-1")
    (directory,) = tmp_path.iterdir()
    assert "127.0.0.1" not in directory.name
    assert not any(b"127.0.0.1" in path.read_bytes() for path in directory.iterdir())
