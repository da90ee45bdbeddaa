"""One attempt at a job, from its claim to its report."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobqueue.client.claims import ClaimedJob
from jobqueue.worker import workspace
from jobqueue.worker.attempt import Attempt, Cause
from jobqueue.worker.environment import shared_variables
from jobqueue.worker.family import Family
from jobqueue.worker.heartbeat import Patience
from jobqueue.worker.run import Means, Runner, WorkerFault
from jobqueue.worker.slot import Slot
from tests.client.fake_server import Reply, Request, in_json
from tests.servers import wait_until
from tests.worker.fake_api import AWAY, REFUSED, FakeApi
from tests.worker.proc import alive, wait_for_pids
from tests.worker.programs import ENVIRONMENT, FOREVER, PYTHON, SHELL, WITH_ORPHANS

pytestmark = [
    pytest.mark.usefixtures("short_pauses", "collected"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # downloads leave connections to the collector
]

Run = Callable[..., Attempt]
YES = in_json({"status": "running"})
CANCEL = in_json({"status": "running", "cancel_requested": True})


@pytest.fixture
def run(means: Means, slot: Slot) -> Run:
    """Makes an attempt at a job, with other means than usual if so told; returns it when it is over."""

    def run(job: ClaimedJob, **other: Any) -> Attempt:
        attempt = Attempt(job, slot)
        with closing(Runner(replace(means, **other))) as runner:
            runner.run(attempt)
        return attempt

    return run


def only_report(api: FakeApi) -> tuple[str, dict[str, Any]]:
    ((verb, body),) = api.reports()
    return verb, body


def test_a_program_is_run_and_its_result_reported(api: FakeApi, run: Run) -> None:
    before = time.time_ns() // 1_000_000
    run(api.offer(SHELL + 'echo "$1 $KEY"; echo err >&2', "two words", environment={"KEY": "value"}))
    verb, body = only_report(api)
    times = [body.pop(f"{name}_at_ms") for name in ("download_started", "program_started", "program_ended")]
    assert before <= times[0] <= times[1] <= times[2] <= time.time_ns() // 1_000_000
    assert body.pop("user_cpu_seconds") + body.pop("system_cpu_seconds") < 10
    assert body.pop("peak_memory_bytes") > 100_000
    assert verb == "complete"
    assert body == {
        "executor_id": "executor-1",
        "attempt_token": "token-job-1",
        "reason": "exited",
        "exit_code": 0,
        "signal": None,
        "stdout": "two words value\n",
        "stdout_bytes": 16,
        "stdout_truncated": False,
        "stderr": "err\n",
        "stderr_bytes": 4,
        "stderr_truncated": False,
    }


def test_a_program_that_fails_is_reported_with_its_output(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "echo so far; exit 4"))
    verb, body = only_report(api)
    assert (verb, body["exit_code"], body["stdout"], body["reason"]) == ("fail", 4, "so far\n", "exited")
    assert body["error_message"] == "exited with code 4"


def test_a_signal_is_told_by_name(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "kill -9 $$"))
    verb, body = only_report(api)
    assert (verb, body["exit_code"], body["signal"], body["reason"]) == ("fail", 137, "SIGKILL", "signalled")


@pytest.mark.parametrize(
    ("program", "message"), [("no program", "could not be started"), ("#!/nowhere\n", "interpreter")]
)
def test_a_program_that_cannot_be_started_is_a_failure(api: FakeApi, run: Run, program: str, message: str) -> None:
    run(api.offer(program))
    verb, body = only_report(api)
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "exec_failed")
    assert message in body["error_message"]


def test_a_program_with_the_wrong_checksum_is_never_started(api: FakeApi, run: Run, tmp_path: Path) -> None:
    run(api.offer(SHELL + "touch $1", tmp_path / "touched", sha256="ab" * 32))
    verb, body = only_report(api)
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "checksum_mismatch")
    assert body["error_message"].startswith("checksum mismatch: expected abab")
    assert not (tmp_path / "touched").exists()


def test_a_program_that_cannot_be_had_is_a_failure(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: Reply(404)
    run(api.offer(SHELL))
    verb, body = only_report(api)
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "download_failed")
    assert body["error_message"].startswith("download failed: 404")


def environment_seen(api: FakeApi) -> dict[str, str]:
    _, body = only_report(api)
    return dict(line.split("=", 1) for line in body["stdout"].split("\0")[:-1])


def test_the_environment_is_an_allowed_few_what_was_asked_and_what_is_told(api: FakeApi, run: Run) -> None:
    worker = {"PATH": "/usr/bin:/bin:/opt", "LANG": "de_DE.UTF-8", "CANARY": "secret", "API_URL": "x", "TZ": "UTC"}
    job = api.offer(ENVIRONMENT, environment={"KEY": "value"}, type="demo", attempt=3)
    run(job, variables=shared_variables(worker, ()))
    seen = environment_seen(api)
    told = {"JOB_ID": "job-1", "JOB_TYPE": "demo", "JOB_ATTEMPT": "3", "JOB_DEADLINE": ""}
    given = {"PATH": "/usr/bin:/bin:/opt", "LANG": "de_DE.UTF-8", "TZ": "UTC", "KEY": "value"}
    assert seen == {**given, **told, "HOME": seen["HOME"], "TMPDIR": seen["HOME"]}


def test_a_deadline_is_told_in_seconds_since_1970(api: FakeApi, run: Run) -> None:
    run(api.offer(ENVIRONMENT, timeout_seconds=100))
    assert 0 <= int(environment_seen(api)["JOB_DEADLINE"]) - int(time.time()) - 100 + 20 <= 20


def test_what_the_job_asks_for_comes_first_but_not_before_what_it_is_told(api: FakeApi, run: Run) -> None:
    asked = {"PATH": "/bin:/usr/bin", "LANG": "C", "HOME": "/", "TMPDIR": "/nowhere", "JOB_ID": "mine"}
    run(api.offer(ENVIRONMENT, environment=asked), variables=shared_variables({"PATH": "/opt"}, ()))
    seen = environment_seen(api)
    assert {name: seen[name] for name in asked} == {**asked, "JOB_ID": "job-1"}


def test_a_job_starts_at_home_in_an_empty_directory_that_goes_with_it(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + 'pwd -P; ls -A; [ "$PWD" = "$HOME" ] && echo home; mktemp; touch left'))
    directory, home, made = only_report(api)[1]["stdout"].splitlines()
    assert home == "home"
    assert made.startswith(directory)
    assert not os.path.exists(directory)


def test_a_job_whose_lease_is_lost_is_stopped_whole_and_not_reported(api: FakeApi, run: Run, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job = api.offer(WITH_ORPHANS, pids, 600, lease_ms=1500)
    api.answers["heartbeat"] = lambda _: REFUSED if pids.exists() and pids.read_text().count("\n") == 5 else YES
    assert run(job).cause is Cause.LEASE_LOST
    assert api.reports() == []
    assert not any(map(alive, wait_for_pids(pids, 5)))


def test_a_lease_that_is_lost_during_the_download_ends_the_attempt(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: Reply(503)
    api.answers["heartbeat"] = lambda _: REFUSED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobqueue.worker.download.backoff", lambda *_: iter([600.0]))
        run(api.offer(SHELL, lease_ms=300))
    assert api.reports() == []


def test_a_job_that_is_cancelled_is_asked_to_end_and_reported_with_its_output(api: FakeApi, run: Run) -> None:
    api.answers["heartbeat"] = lambda _: CANCEL
    run(api.offer(SHELL + 'trap "echo asked; exit 0" TERM; while true; do sleep 0.02; done', lease_ms=900))
    verb, body = only_report(api)
    assert (verb, body["reason"], body["stdout"]) == ("fail", "cancelled", "asked\n")


def test_a_job_that_is_cancelled_and_does_not_listen_is_killed(api: FakeApi, run: Run, tmp_path: Path) -> None:
    api.answers["heartbeat"] = lambda _: CANCEL if (tmp_path / "pids").exists() else YES
    patience = Patience(kill_grace_seconds=0.2)
    run(api.offer(FOREVER, tmp_path / "pids", lease_ms=900), patience=patience)
    assert only_report(api)[1]["reason"] == "cancelled"
    assert only_report(api)[1]["signal"] == "SIGKILL"


def test_a_job_that_is_cancelled_during_its_download_never_begins(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: api.server.hang()
    api.answers["heartbeat"] = lambda _: CANCEL
    run(api.offer(SHELL, lease_ms=300))
    verb, body = only_report(api)
    assert (verb, body["reason"], body["exit_code"]) == ("fail", "cancelled", None)


@pytest.mark.parametrize(("job_limit", "worker_limit"), [(0.4, None), (None, 0.4), (0.4, 600)])
def test_a_job_that_runs_for_too_long_has_failed_for_that_reason(
    api: FakeApi, run: Run, job_limit: float | None, worker_limit: float | None
) -> None:
    run(api.offer(SHELL + "exec sleep 600", timeout_seconds=job_limit), job_timeout_seconds=worker_limit)
    verb, body = only_report(api)
    assert (verb, body["reason"], body["signal"]) == ("fail", "timeout", "SIGTERM")
    assert body["error_message"] == "ran for longer than 0.4 seconds"


def test_the_lease_is_kept_alive_while_the_report_is_not_answered(api: FakeApi, run: Run) -> None:
    give_up_at = time.monotonic() + 20

    def answer(request: Request) -> Reply:
        return YES if len(api.seen("heartbeat")) > 3 or request.at > give_up_at else AWAY

    api.answers["complete"] = answer
    run(api.offer(SHELL, lease_ms=1500))
    wait_until("the report is answered", lambda: len(api.seen("heartbeat")) > 3)


def test_a_killed_supervisor_is_not_reported_and_its_job_left_until_the_lease_ends(
    api: FakeApi, run: Run, slot: Slot, tmp_path: Path
) -> None:
    """It may have been the job that killed it: lost attempts count."""
    job = api.offer(FOREVER, tmp_path / "pids")

    def kill() -> None:
        wait_for_pids(tmp_path / "pids", 1)
        os.kill(slot._process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    run(job)
    killer.join()
    assert api.reports() == []
    run(api.offer(SHELL + "echo next"))
    assert len(api.reports()) == 1


def test_a_disk_that_takes_nothing_is_the_workers_fault_and_the_job_given_back(
    api: FakeApi, run: Run, means: Means
) -> None:
    (means.workspaces.path / "lock").unlink()
    means.workspaces.path.rmdir()
    with pytest.raises(WorkerFault):
        run(api.offer(SHELL))
    assert only_report(api) == (
        "release",
        {"executor_id": "executor-1", "attempt_token": "token-job-1", "reason": None},
    )


def test_a_program_that_dies_of_a_sigterm_to_everybody_is_given_back(api: FakeApi, run: Run, means: Means) -> None:
    """The program has had its signal before the worker has."""
    threading.Timer(0.3, means.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (only_report(api)[0], only_report(api)[1]["reason"]) == ("release", "worker_shutdown")


def test_one_that_fails_after_its_supervisor_had_one_is_given_back(api: FakeApi, run: Run, means: Means) -> None:
    threading.Timer(0.3, means.shutdown.request).start()
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (only_report(api)[0], only_report(api)[1]["reason"]) == ("release", "worker_shutdown")


def test_one_that_sends_its_supervisor_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    """Else it would be given back, and begun again, for ever."""
    run(api.offer(SHELL + "kill -TERM $PPID; sleep 0.1; exit 1"))
    assert (only_report(api)[0], only_report(api)[1]["exit_code"]) == ("fail", 1)


def test_what_is_still_said_to_an_ended_job_does_not_reach_the_next_in_its_slot(
    api: FakeApi, run: Run, tmp_path: Path
) -> None:
    """Its lease is kept until its report is answered; the slot goes on meanwhile."""
    api.answers["complete"] = lambda request: AWAY if "job-1" in request.path else YES
    first = run(api.offer(SHELL, lease_ms=900))
    cancelled = threading.Event()

    def answer(request: Request) -> Reply:
        if "job-1" in request.path and (tmp_path / "pids").exists():
            cancelled.set()
            return CANCEL
        return YES

    api.answers["heartbeat"] = answer
    wait = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.02; done; echo finished'
    second = threading.Thread(target=run, args=[api.offer(wait, tmp_path / "pids", tmp_path / "go")])
    second.start()
    assert cancelled.wait(20)
    assert first.stopped.wait(20)
    (tmp_path / "go").touch()
    second.join(20)
    wait_until("it is reported", lambda: "job-2" in [request.path.split("/")[2] for request in api.seen("complete")])
    assert [body["stdout"] for _, body in api.reports() if body["stdout"]] == ["finished\n"]


def test_a_heartbeat_that_cannot_be_started_gives_the_job_back(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("jobqueue.worker.heartbeat.Heartbeat.start", refuse)
    with pytest.raises(WorkerFault, match="thread"):
        run(api.offer(SHELL))
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_report_is_on_disk_before_anything_is_removed(
    api: FakeApi, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    remove = workspace.remove

    def look_and_remove(path: Path, family: Family) -> None:
        written.append(len(list((tmp_path / "spool").glob("*/*.json"))))
        remove(path, family)

    monkeypatch.setattr(workspace, "remove", look_and_remove)
    run(api.offer(SHELL))
    assert written == [1]


def test_one_that_sends_itself_a_sigterm_has_failed(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "kill -TERM $$"))
    assert (only_report(api)[0], only_report(api)[1]["signal"]) == ("fail", "SIGTERM")


def test_a_job_that_leaves_what_is_hard_to_remove_is_still_reported(api: FakeApi, run: Run) -> None:
    nest = "import os\nfor _ in range(20):\n    os.mkdir('d' * 250)\n    os.chdir('d' * 250)"
    run(api.offer(PYTHON + nest))
    assert [verb for verb, _ in api.reports()] == ["complete"]


def test_beats_stop_with_the_attempt(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "sleep 0.8", lease_ms=1500))
    count = len(api.seen("heartbeat"))
    assert count > 0
    run(api.offer(SHELL + "sleep 0.3"))
    assert len(api.reports()) == 2
    assert len(api.seen("heartbeat")) == count
