"""A job that could not be run through no fault of its own is released; one that was run is not."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.attempts.attempt import Attempt, Cause, Verdict
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.attempts.runner import Runner
from jobqueue.worker.failures import Failure
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.supervisor.messages import Outcome
from tests.support.fake_api import FakeApi
from tests.support.fake_server import Reply, Request
from tests.support.processes import wait_for_pids
from tests.support.programs import FOREVER, SHELL
from tests.support.running import Run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


def host_faults(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the reasons of the host faults in a log."""
    return [log["reason"] for log in logs if log["event"] == "host_fault"]


def test_a_job_whose_supervisor_was_killed_is_not_reported_and_left_until_its_lease_ends(
    api: FakeApi, run: Run, slot: Slot, tmp_path: Path
) -> None:
    """It may have been the job that killed it, and lost attempts count."""
    job = api.offer(FOREVER, tmp_path / "pids")

    def kill() -> None:
        wait_for_pids(tmp_path / "pids", 1)
        os.kill(slot.supervisor_pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run(job)
    killer.join()
    assert api.reports() == []
    run(api.offer(SHELL + "echo next"))
    assert len(api.reports()) == 1


def test_a_disk_that_takes_nothing_is_a_host_fault_and_the_job_is_released(
    api: FakeApi, run: Run, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/program")

    monkeypatch.setattr(resources.programs, "fetch_requested", refuse)
    with capture_logs() as logs:
        assert run(api.offer(SHELL)).verdict is Verdict.HOST_FAULT
    (reason,) = host_faults(logs)
    assert reason.startswith("OSError: ")
    assert reason.endswith("No space left on device: '/program'")
    assert api.only_report() == (
        "release",
        {
            "executor_id": "executor-1",
            "attempt_token": "token-job-1",
            "reason": "host_fault",
            "error_message": "this host could not run it: No space left on device",
        },
    )


def test_a_program_that_this_host_cannot_start_is_a_host_fault_and_the_job_is_released(
    api: FakeApi, run: Run, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "run", lambda *_: Outcome(start_failure="no memory", failure=Failure.HOST))
    with capture_logs() as logs:
        assert run(api.offer(SHELL)).verdict is Verdict.HOST_FAULT
    assert host_faults(logs) == ["no memory"]
    verb, body = api.only_report()
    assert (verb, body["reason"], body["error_message"]) == ("release", "host_fault", "no memory")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(503), "503 Service Unavailable"),
        (Reply(401), "401 Unauthorized"),
        (Reply(403), "403 Forbidden"),
        (Reply(418), "418 I'm a Teapot"),
        (Reply(body=b"half", length=100), "ended early"),
        (Reply(302, headers={"Location": "ftp://user:canary@elsewhere/?canary"}), "ftp"),
        (Reply(302, headers={"Location": "http://[::1/?canary"}), "cannot be read"),
        (Reply(302, headers={"Location": "http://[zz]/?canary"}), "cannot be read"),
        (Reply(302, headers={"Location": "http://[1::2::3]/?canary"}), "cannot be read"),
        (Reply(302, headers={"Location": "http://[::ffff:300.1.1.1]/?canary"}), "not known"),
        (Reply(302, headers={"Location": "/again/program"}), "redirects"),
    ],
)
def test_a_job_whose_program_cannot_be_downloaded_now_or_here_is_released_with_the_reason(
    api: FakeApi, run: Run, reply: Reply, text: str
) -> None:
    api.answers["program"] = lambda _: reply
    ran = run(api.offer(SHELL))
    assert ran.verdict is Verdict.HOST_FAULT
    assert ran.attempt.fault_subject == urlsplit(api.server.url).netloc  # wherever it redirects to
    verb, body = api.only_report()
    assert (verb, body["reason"]) == ("release", "blocked_by_policy" if text == "ftp" else "download_failed")
    assert text in body["error_message"]
    assert "canary" not in body["error_message"]


def test_what_goes_wrong_while_a_worker_shuts_down_is_not_counted_as_a_host_fault(
    api: FakeApi, slot: Slot, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt(api.offer(SHELL), slot)

    def stop_and_refuse(*_: object) -> None:
        attempt.stop(Cause.SHUTDOWN)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/program")

    monkeypatch.setattr(resources.programs, "fetch_requested", stop_and_refuse)
    Runner(resources).run(attempt)
    assert resources.delivery.wait_until_sent(20)
    assert api.only_report()[1]["reason"] == "worker_shutdown"


@pytest.mark.parametrize("status", [404, 410])
def test_a_job_whose_program_does_not_exist_has_failed_at_once(api: FakeApi, run: Run, status: int) -> None:
    api.answers["program"] = lambda _: Reply(status)
    assert run(api.offer(SHELL)).verdict is Verdict.NEITHER
    verb, body = api.only_report()
    assert (verb, body["reason"]) == ("fail", "download_failed")
    assert len(api.seen("program")) == 1


def test_a_download_that_waits_for_its_server_ends_when_the_worker_is_asked_to_stop(
    api: FakeApi, run: Run, resources: Resources, tmp_path: Path
) -> None:
    api.answers["program"] = lambda _: Reply(503)
    programs = Cache(tmp_path / "patient", 1 << 30, DownloadRules())

    def request_shutdown() -> None:
        wait_until("the server was asked", lambda: len(api.seen("program")) > 1)
        resources.shutdown.request()

    threading.Thread(target=request_shutdown).start()
    assert run(api.offer(SHELL), programs=programs).verdict is Verdict.NEITHER
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_a_download_that_is_under_way_goes_on_when_the_worker_is_asked_to_stop(
    api: FakeApi, run: Run, resources: Resources
) -> None:
    def stop_then_answer(request: Request) -> Reply:
        resources.shutdown.request()
        del api.answers["program"]
        return api.answer(request)

    api.answers["program"] = stop_then_answer
    run(api.offer(SHELL + "echo ran"))
    assert api.only_report()[1]["stdout"] == "ran\n"


def test_a_program_that_is_killed_by_a_sigterm_to_every_process_is_released(
    api: FakeApi, run: Run, resources: Resources
) -> None:
    """The program gets its signal before the worker does."""
    threading.Timer(0.3, resources.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_a_program_that_fails_after_a_sigterm_to_its_supervisor_and_worker_is_released(
    api: FakeApi, run: Run, resources: Resources
) -> None:
    threading.Timer(0.3, resources.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_a_program_that_sends_its_supervisor_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    """If it were released, it would be started again for ever."""
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (api.only_report()[0], api.only_report()[1]["exit_code"]) == ("fail", 1)


def test_a_program_that_sends_itself_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (api.only_report()[0], api.only_report()[1]["signal"]) == ("fail", "SIGTERM")


def test_a_job_that_cannot_be_reported_is_left_until_its_lease_ends(
    api: FakeApi, run: Run, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats for a job that nobody runs would hold it for ever."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(resources.spool, "append", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        run(api.offer(SHELL))
    assert resources.heartbeats.count == 0
