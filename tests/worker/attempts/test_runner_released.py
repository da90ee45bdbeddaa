"""A job that could not be run through no fault of its own is released; one that was run is not."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from structlog.testing import capture_logs

from jobqueue.worker.attempts.attempt import Cause, Verdict
from jobqueue.worker.attempts.runner import Resources
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.supervisor.messages import Outcome
from tests.support.fake_api import REFUSED, FakeApi
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

    monkeypatch.setattr(resources.programs, "fetch", refuse)
    with capture_logs() as logs:
        assert run(api.offer(SHELL)).verdict is Verdict.HOST_FAULT
    (reason,) = host_faults(logs)
    assert reason.startswith("OSError: ")
    assert reason.endswith("No space left on device: '/program'")
    assert api.only_report() == (
        "release",
        {"executor_id": "executor-1", "attempt_token": "token-job-1", "reason": None},
    )


def test_a_program_that_this_host_cannot_start_is_a_host_fault_and_the_job_is_released(
    api: FakeApi, run: Run, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "run", lambda *_: Outcome(start_failure="no memory", host_fault=True))
    with capture_logs() as logs:
        assert run(api.offer(SHELL)).verdict is Verdict.HOST_FAULT
    assert host_faults(logs) == ["no memory"]
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_job_whose_heartbeat_cannot_be_started_is_released(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("jobqueue.worker.attempts.heartbeat.Heartbeat.start", refuse)
    with capture_logs() as logs:
        assert run(api.offer(SHELL)).verdict is Verdict.HOST_FAULT
    assert "thread" in host_faults(logs)[0]
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_job_that_cannot_be_run_again_is_quarantined_with_heartbeats_and_released(
    api: FakeApi, run: Run, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Released at once it would come back before all others."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(resources.programs, "fetch", refuse)
    job = api.offer(SHELL, lease_ms=3000)
    with capture_logs() as logs:
        assert run(job).verdict is Verdict.HOST_FAULT
    assert "File too large" in host_faults(logs)[0]
    before = len(api.seen("heartbeat"))
    assert run(job).verdict is Verdict.QUARANTINED
    wait_until("its lease is renewed", lambda: len(api.seen("heartbeat")) > before)
    assert [verb for verb, _ in api.reports()] == ["release"]
    resources.quarantine.close()
    wait_until("the job is released", lambda: [verb for verb, _ in api.reports()] == ["release"] * 2)


def test_a_quarantined_job_whose_lease_is_lost_is_not_released(
    api: FakeApi, run: Run, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.programs, "fetch", lambda *_: 1 / 0)
    job = api.offer(SHELL, lease_ms=900)
    with capture_logs() as logs:
        assert run(job).verdict is Verdict.HOST_FAULT
    assert "ZeroDivisionError" in host_faults(logs)[0]
    api.answers["heartbeat"] = lambda _: REFUSED
    attempt = run(job).attempt
    assert attempt.stopped.wait(20)
    resources.quarantine.close()
    assert resources.delivery.wait_until_sent(20)
    assert attempt.cause is Cause.LEASE_LOST
    assert [verb for verb, _ in api.reports()] == ["release"]


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

    def refuse(_job_id: str, _verb: str, body: IO[bytes], _on_done: object) -> None:
        body.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(resources.spool, "write", refuse)
    older = set(threading.enumerate())
    with pytest.raises(OSError, match="Too many open files"):
        run(api.offer(SHELL, lease_ms=30_000))
    newer = [thread for thread in threading.enumerate() if thread not in older and thread.name == "heartbeat"]
    wait_until("its heartbeats end", lambda: not any(thread.is_alive() for thread in newer))
