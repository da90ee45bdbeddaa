"""A job that could not be run for no fault of its own is given back; one that could is not."""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from jobqueue.worker.attempts.attempt import Cause
from jobqueue.worker.attempts.runner import Means, WorkerFault
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import REFUSED, FakeApi
from tests.support.processes import wait_for_pids
from tests.support.programs import FOREVER, SHELL
from tests.support.waiting import wait_until
from tests.worker.conftest import Run

pytestmark = [
    pytest.mark.usefixtures("short_pauses", "collected"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # downloads leave connections to the collector
]


def test_a_killed_supervisor_is_not_reported_and_its_job_left_until_the_lease_ends(
    api: FakeApi, run: Run, slot: Slot, tmp_path: Path
) -> None:
    """It may have been the job that killed it: lost attempts count."""
    job = api.offer(FOREVER, tmp_path / "pids")

    def kill() -> None:
        wait_for_pids(tmp_path / "pids", 1)
        os.kill(slot.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run(job)
    killer.join()
    assert api.reports() == []
    run(api.offer(SHELL + "echo next"))
    assert len(api.reports()) == 1


def test_a_disk_that_takes_nothing_is_the_workers_fault_and_the_job_given_back(
    api: FakeApi, run: Run, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/program")

    monkeypatch.setattr(means.programs, "fetch", refuse)
    with pytest.raises(WorkerFault, match=r"OSError: .*No space left on device: '/program'"):
        run(api.offer(SHELL))
    assert api.only_report() == (
        "release",
        {"executor_id": "executor-1", "attempt_token": "token-job-1", "reason": None},
    )


def test_a_heartbeat_that_cannot_be_started_gives_the_job_back(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("jobqueue.worker.attempts.heartbeat.Heartbeat.start", refuse)
    with pytest.raises(WorkerFault, match="thread"):
        run(api.offer(SHELL))
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_job_that_cannot_be_run_again_is_kept_with_heartbeats_and_given_back(
    api: FakeApi, run: Run, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would come back at once, before all others."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(means.programs, "fetch", refuse)
    job = api.offer(SHELL, lease_ms=3000)
    with pytest.raises(WorkerFault, match="File too large"):
        run(job)
    beats = len(api.seen("heartbeat"))
    run(job)
    wait_until("its lease is renewed", lambda: len(api.seen("heartbeat")) > beats)
    assert [verb for verb, _ in api.reports()] == ["release"]
    means.set_aside.close()
    wait_until("it is given back", lambda: [verb for verb, _ in api.reports()] == ["release"] * 2)


def test_one_that_is_kept_until_its_lease_is_lost_is_somebody_elses(
    api: FakeApi, run: Run, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(means.programs, "fetch", lambda *_: 1 / 0)
    job = api.offer(SHELL, lease_ms=900)
    with pytest.raises(WorkerFault, match="ZeroDivisionError"):
        run(job)
    api.answers["heartbeat"] = lambda _: REFUSED
    attempt = run(job)
    assert attempt.stopped.wait(20)
    means.set_aside.close()
    assert attempt.cause is Cause.LEASE_LOST
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_program_that_dies_of_a_sigterm_to_everybody_is_given_back(api: FakeApi, run: Run, means: Means) -> None:
    """The program has had its signal before the worker has."""
    threading.Timer(0.3, means.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_one_that_fails_after_its_supervisor_had_one_is_given_back(api: FakeApi, run: Run, means: Means) -> None:
    threading.Timer(0.3, means.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_one_that_sends_its_supervisor_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    """Else it would be given back, and begun again, for ever."""
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (api.only_report()[0], api.only_report()[1]["exit_code"]) == ("fail", 1)


def test_one_that_sends_itself_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (api.only_report()[0], api.only_report()[1]["signal"]) == ("fail", "SIGTERM")


def test_a_job_whose_end_cannot_be_told_is_left_to_its_lease(
    api: FakeApi, run: Run, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats without anybody who runs it would keep it for ever."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(means.spool, "write", refuse)
    older = set(threading.enumerate())
    with pytest.raises(OSError, match="Too many open files"):
        run(api.offer(SHELL, lease_ms=900))
    newer = [thread for thread in threading.enumerate() if thread not in older and thread.name == "heartbeat"]
    wait_until("its heartbeats end", lambda: not any(thread.is_alive() for thread in newer))
