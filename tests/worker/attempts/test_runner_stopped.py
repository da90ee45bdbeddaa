"""An attempt is stopped by its time limit, a lost lease or a cancel request; its lease is kept until it is reported."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from jobqueue.worker.attempts.attempt import Cause, StopPolicy
from tests.support.fake_api import AWAY, CANCEL, REFUSED, YES, FakeApi
from tests.support.fake_server import Reply, Request
from tests.support.processes import alive, wait_for_pids
from tests.support.programs import FOREVER, SHELL, WITH_ORPHANS
from tests.support.running import Run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_job_whose_lease_is_lost_is_stopped_whole_and_not_reported(api: FakeApi, run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job = api.offer(WITH_ORPHANS, pids, 600, lease_ms=3000)
    api.answers["heartbeat"] = lambda _: REFUSED if pids.exists() and pids.read_text().count("\n") == 5 else YES
    assert run(job).attempt.cause is Cause.LEASE_LOST
    assert api.reports() == []
    assert not any(map(alive, wait_for_pids(pids, 5)))


def test_a_lease_that_is_lost_during_the_download_ends_the_attempt(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: Reply(503)
    api.answers["heartbeat"] = lambda _: REFUSED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: iter([600.0]))
        run(api.offer(SHELL, lease_ms=300))
    assert api.reports() == []


def test_a_cancelled_job_gets_sigterm_and_is_reported_with_its_output(api: FakeApi, run: Run, tmp_path: Path) -> None:
    listens = tmp_path / "listens"
    trap = SHELL + 'trap "echo asked; exit 0" TERM; touch "$1"; while true; do sleep 0.02; done'
    api.answers["heartbeat"] = lambda _: CANCEL if listens.exists() else YES
    run(api.offer(trap, listens, lease_ms=3000))
    verb, body = api.only_report()
    assert (verb, body["reason"], body["stdout"]) == ("fail", "cancelled", "asked\n")


def test_a_cancelled_job_that_ignores_sigterm_is_killed(api: FakeApi, run: Run, tmp_path: Path) -> None:
    api.answers["heartbeat"] = lambda _: CANCEL if (tmp_path / "pids").exists() else YES
    stop_policy = StopPolicy(may_outlive_lease=False, kill_grace_seconds=0.2)
    run(api.offer(FOREVER, tmp_path / "pids", lease_ms=3000), stop_policy=stop_policy)
    assert api.only_report()[1]["reason"] == "cancelled"
    assert api.only_report()[1]["signal"] == "SIGKILL"


def test_a_job_that_is_cancelled_during_its_download_is_never_started(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: api.server.hang()
    api.answers["heartbeat"] = lambda _: CANCEL
    run(api.offer(SHELL, lease_ms=3000))
    verb, body = api.only_report()
    assert (verb, body["reason"], body["exit_code"]) == ("fail", "cancelled", None)


@pytest.mark.parametrize(("job_limit", "worker_limit"), [(0.4, None), (None, 0.4), (0.4, 600)])
def test_a_job_that_runs_for_too_long_has_failed_for_that_reason(
    api: FakeApi, run: Run, job_limit: float | None, worker_limit: float | None
) -> None:
    run(api.offer(SHELL + "exec sleep 10", timeout_seconds=job_limit), job_timeout_seconds=worker_limit)
    verb, body = api.only_report()
    assert (verb, body["reason"], body["signal"]) == ("fail", "timeout", "SIGTERM")
    assert body["error_message"] == "ran for longer than 0.4 seconds"


def test_a_cancel_request_for_an_ended_job_does_not_reach_the_next_in_its_slot(
    api: FakeApi, run: Run, tmp_path: Path
) -> None:
    """Its lease is kept until its report is answered; the slot goes on meanwhile."""
    api.answers["complete"] = lambda request: AWAY if "job-1" in request.path else YES
    first = run(api.offer(SHELL, lease_ms=3000), reported=False)
    cancelled = threading.Event()

    def answer(request: Request) -> Reply:
        if "job-1" in request.path and (tmp_path / "pids").exists():
            cancelled.set()
            return CANCEL
        return YES

    api.answers["heartbeat"] = answer
    wait = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.02; done; echo finished'
    second = threading.Thread(target=run, args=[api.offer(wait, tmp_path / "pids", tmp_path / "go"), False])
    second.start()
    assert cancelled.wait(20)
    assert first.attempt.stopped.wait(20)
    (tmp_path / "go").touch()
    second.join(20)
    wait_until(
        "the second job is reported",
        lambda: "job-2" in [request.path.split("/")[2] for request in api.seen("complete")],
    )
    assert [body["stdout"] for _, body in api.reports() if body["stdout"]] == ["finished\n"]


def test_the_lease_is_kept_alive_while_the_report_is_not_answered(api: FakeApi, run: Run) -> None:
    give_up_at = time.monotonic() + 20

    def answer(request: Request) -> Reply:
        return YES if len(api.seen("heartbeat")) > 1 or request.at > give_up_at else AWAY

    api.answers["complete"] = answer
    run(api.offer(SHELL, lease_ms=3000), reported=False)
    wait_until("the lease is renewed", lambda: len(api.seen("heartbeat")) > 1)


def test_heartbeats_end_with_the_attempt(api: FakeApi, run: Run, tmp_path: Path) -> None:
    def answer(_: Request) -> Reply:
        (tmp_path / "renewed").touch()
        return YES

    api.answers["heartbeat"] = answer
    run(api.offer(SHELL + 'while [ ! -e "$1" ]; do sleep 0.02; done', tmp_path / "renewed", lease_ms=3000))
    count = len(api.seen("heartbeat"))
    assert count > 0
    run(api.offer(SHELL + "sleep 1.2"))  # longer than until the next would be due
    assert len(api.reports()) == 2
    assert len(api.seen("heartbeat")) == count
