"""One attempt at a job, from its claim to its report."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from jobqueue.client.claims import Claims
from jobqueue.worker.run import Runner, WorkerFault
from jobqueue.worker.shutdown import Shutdown
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

MakeRunner = Callable[[Mapping[str, str]], Runner]


@pytest.fixture
def make_runner(connect: Callable[[], Claims], slot: Slot, temporary: Path) -> MakeRunner:
    """Makes a runner for a worker with the environment given."""
    return lambda variables: Runner(connect, slot, Shutdown(), variables)


@pytest.fixture
def runner(make_runner: MakeRunner) -> Runner:
    return make_runner({})


YES = in_json({"status": "running"})


def test_a_program_is_run_and_its_result_reported(api: FakeApi, runner: Runner) -> None:
    runner.run(api.offer(SHELL + 'echo "$1 $KEY"; echo err >&2', "two words", environment={"KEY": "value"}))
    assert api.reports() == [
        (
            "complete",
            {
                "executor_id": "executor-1",
                "attempt_token": "token-job-1",
                "exit_code": 0,
                "stdout": "two words value\n",
                "stderr": "err\n",
            },
        )
    ]


def test_a_program_that_fails_is_reported_with_its_output(api: FakeApi, runner: Runner) -> None:
    runner.run(api.offer(SHELL + "echo so far; exit 4"))
    ((verb, body),) = api.reports()
    assert (verb, body["exit_code"], body["stdout"]) == ("fail", 4, "so far\n")
    assert body["error_message"] == "exited with code 4"


@pytest.mark.parametrize(
    ("program", "message"), [("no program", "could not be started"), ("#!/nowhere\n", "interpreter")]
)
def test_a_program_that_cannot_be_started_is_a_failure(
    api: FakeApi, runner: Runner, program: str, message: str
) -> None:
    runner.run(api.offer(program))
    ((verb, body),) = api.reports()
    assert (verb, body["exit_code"]) == ("fail", None)
    assert message in body["error_message"]


def test_a_program_with_the_wrong_checksum_is_never_started(api: FakeApi, runner: Runner, tmp_path: Path) -> None:
    runner.run(api.offer(SHELL + "touch $1", tmp_path / "touched", sha256="ab" * 32))
    ((verb, body),) = api.reports()
    assert (verb, body["exit_code"]) == ("fail", None)
    assert body["error_message"].startswith("checksum mismatch: expected abab")
    assert not (tmp_path / "touched").exists()


def test_a_program_that_cannot_be_had_is_a_failure(api: FakeApi, runner: Runner) -> None:
    api.answers["program"] = lambda _: Reply(404)
    runner.run(api.offer(SHELL))
    ((verb, body),) = api.reports()
    assert (verb, body["exit_code"]) == ("fail", None)
    assert body["error_message"].startswith("download failed: 404")


def environment_seen(api: FakeApi) -> dict[str, str]:
    ((_, body),) = api.reports()
    return dict(line.split("=", 1) for line in body["stdout"].split("\0")[:-1])


def test_the_environment_is_path_lang_home_tmpdir_and_what_was_asked(api: FakeApi, make_runner: MakeRunner) -> None:
    worker = {"PATH": "/usr/bin:/bin:/opt", "LANG": "de_DE.UTF-8", "CANARY": "secret", "API_URL": "x", "LC_ALL": "C"}
    make_runner(worker).run(api.offer(ENVIRONMENT, environment={"KEY": "value"}))
    seen = environment_seen(api)
    assert set(seen) == {"PATH", "LANG", "HOME", "TMPDIR", "KEY"}
    assert (seen["PATH"], seen["LANG"], seen["KEY"]) == ("/usr/bin:/bin:/opt", "de_DE.UTF-8", "value")
    assert seen["HOME"] == seen["TMPDIR"]


def test_what_the_job_asks_for_comes_first(api: FakeApi, make_runner: MakeRunner) -> None:
    asked = {"PATH": "/bin:/usr/bin", "LANG": "C", "HOME": "/", "TMPDIR": "/nowhere"}
    make_runner({"PATH": "/opt", "LANG": "de_DE.UTF-8"}).run(api.offer(ENVIRONMENT, environment=asked))
    assert environment_seen(api) == asked


def test_a_worker_without_path_and_lang_still_gives_some(api: FakeApi, runner: Runner) -> None:
    runner.run(api.offer(ENVIRONMENT))
    seen = environment_seen(api)
    assert (seen["PATH"], seen["LANG"]) == ("/usr/local/bin:/usr/bin:/bin", "C.UTF-8")


def test_a_job_starts_at_home_in_an_empty_directory_that_goes_with_it(api: FakeApi, runner: Runner) -> None:
    runner.run(api.offer(SHELL + 'pwd -P; ls -A; [ "$PWD" = "$HOME" ] && echo home; mktemp; touch left'))
    ((_, body),) = api.reports()
    directory, home, made = body["stdout"].splitlines()
    assert home == "home"
    assert made.startswith(directory)
    assert not os.path.exists(directory)


def test_a_job_whose_lease_is_lost_is_stopped_whole_and_not_reported(
    api: FakeApi, runner: Runner, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    job = api.offer(WITH_ORPHANS, pids, 600, lease_ms=1500)
    api.answers["heartbeat"] = lambda _: REFUSED if pids.exists() and pids.read_text().count("\n") == 5 else YES
    runner.run(job)
    assert api.reports() == []
    assert not any(map(alive, wait_for_pids(pids, 5)))


def test_a_lease_that_is_lost_during_the_download_ends_the_attempt(
    api: FakeApi, runner: Runner, tmp_path: Path
) -> None:
    api.answers["program"] = lambda _: Reply(503)
    api.answers["heartbeat"] = lambda _: REFUSED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobqueue.worker.download.backoff", lambda *_: iter([600.0]))
        runner.run(api.offer(SHELL, lease_ms=300))
    assert api.reports() == []


def test_the_lease_is_kept_alive_while_the_report_is_not_answered(api: FakeApi, runner: Runner) -> None:
    give_up_at = time.monotonic() + 20

    def answer(request: Request) -> Reply:
        return YES if len(api.seen("heartbeat")) > 3 or request.at > give_up_at else AWAY

    api.answers["complete"] = answer
    runner.run(api.offer(SHELL, lease_ms=1500))
    assert len(api.seen("heartbeat")) > 3


def test_a_killed_supervisor_is_the_workers_fault_and_not_reported(
    api: FakeApi, runner: Runner, slot: Slot, tmp_path: Path
) -> None:
    job = api.offer(FOREVER, tmp_path / "pids")

    def kill() -> None:
        wait_for_pids(tmp_path / "pids", 1)
        os.kill(slot._process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(WorkerFault, match="SlotDied"):
        runner.run(job)
    killer.join()
    assert api.reports() == []
    runner.run(api.offer(SHELL + "echo next"))
    assert len(api.reports()) == 1


def test_a_disk_that_takes_nothing_is_the_workers_fault_and_not_reported(
    api: FakeApi, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(WorkerFault):
            runner.run(api.offer(SHELL))
    assert api.reports() == []


def test_a_job_that_leaves_what_is_hard_to_remove_is_still_reported(
    api: FakeApi, make_runner: MakeRunner, tmp_path: Path
) -> None:
    nest = "import os\nfor _ in range(20):\n    os.mkdir('d' * 250)\n    os.chdir('d' * 250)"
    make_runner({}).run(api.offer(PYTHON + nest))
    assert [verb for verb, _ in api.reports()] == ["complete"]


def test_beats_stop_with_the_attempt(api: FakeApi, runner: Runner) -> None:
    runner.run(api.offer(SHELL + "sleep 0.8", lease_ms=1500))
    count = len(api.seen("heartbeat"))
    assert count > 0
    runner.run(api.offer(SHELL + "sleep 0.3"))
    wait_until("the second job is reported", lambda: len(api.reports()) == 2)
    assert len(api.seen("heartbeat")) == count
