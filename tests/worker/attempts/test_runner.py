"""An attempt fetches the program, runs it and reports how it ended."""

from __future__ import annotations

import os
import pwd
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.policy.allowed_programs import AllowedPrograms
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.slots import workspace
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.workspace import Workspaces
from tests.support.downloads import short_retries
from tests.support.fake_api import FakeApi
from tests.support.fake_server import Reply
from tests.support.programs import ENVIRONMENT, PYTHON, SHELL
from tests.support.running import Run
from tests.support.slots import sparing_children
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_program_is_run_and_its_result_reported(api: FakeApi, run: Run) -> None:
    before = time.time_ns() // 1_000_000
    run(api.offer(SHELL + 'echo "$1 $KEY"; echo err >&2', "two words", environment={"KEY": "value"}))
    verb, body = api.only_report()
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
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["stdout"], body["reason"]) == ("fail", 4, "so far\n", "exited")
    assert body["error_message"] == "exited with code 4"


def test_a_signal_is_reported_by_name(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + "kill -9 $$"))
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["signal"], body["reason"]) == ("fail", 137, "SIGKILL", "signalled")


def test_a_file_that_no_machine_can_execute_is_a_failure(api: FakeApi, run: Run) -> None:
    run(api.offer("no program"))
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "exec_failed")
    assert "could not be started" in body["error_message"]


def test_a_program_with_the_wrong_checksum_is_never_started(api: FakeApi, run: Run, tmp_path: Path) -> None:
    run(api.offer(SHELL + "touch $1", tmp_path / "touched", sha256="ab" * 32))
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "checksum_mismatch")
    assert body["error_message"].startswith("checksum mismatch: expected abab")
    assert not (tmp_path / "touched").exists()


def test_a_program_that_cannot_be_downloaded_is_a_failure(api: FakeApi, run: Run) -> None:
    api.answers["program"] = lambda _: Reply(404)
    run(api.offer(SHELL))
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "download_failed")
    assert body["error_message"].startswith("download failed: 404")


def test_a_program_that_is_not_listed_is_never_started(api: FakeApi, run: Run, tmp_path: Path) -> None:
    (tmp_path / "listed").write_text("# none\n")
    rules = replace(short_retries(), programs=AllowedPrograms(tmp_path / "listed"))
    run(api.offer(SHELL + "touch $1", tmp_path / "touched"), programs=Cache(tmp_path / "programs", 1 << 30, rules))
    verb, body = api.only_report()
    assert (verb, body["exit_code"], body["reason"]) == ("fail", None, "blocked_by_policy")
    assert body["error_message"] == "blocked by policy: ALLOWED_SHA256_FILE does not list the program"
    assert not (tmp_path / "touched").exists()


def environment_seen(api: FakeApi) -> dict[str, str]:
    _, body = api.only_report()
    return dict(line.split("=", 1) for line in body["stdout"].split("\0")[:-1])


def test_a_program_sees_the_shared_variables_its_own_and_those_that_describe_its_job(api: FakeApi, run: Run) -> None:
    worker = {"PATH": "/usr/bin:/bin:/opt", "LANG": "de_DE.UTF-8", "CANARY": "secret", "API_URL": "x", "TZ": "UTC"}
    job = api.offer(ENVIRONMENT, environment={"KEY": "value"}, type="demo", attempt=3)
    run(job, variables=shared_variables(worker, ()))
    seen = environment_seen(api)
    described = {"JOB_ID": "job-1", "JOB_TYPE": "demo", "JOB_ATTEMPT": "3", "JOB_DEADLINE": ""}
    given = {"PATH": "/usr/bin:/bin:/opt", "LANG": "de_DE.UTF-8", "TZ": "UTC", "KEY": "value"}
    always = {"PYTHONUNBUFFERED": "1", "USER": seen["LOGNAME"], "LOGNAME": pwd.getpwuid(os.geteuid()).pw_name}
    assert seen == {**given, **described, **always, "HOME": seen["HOME"], "TMPDIR": seen["HOME"]}


def test_a_programs_file_is_called_as_in_its_url(api: FakeApi, run: Run) -> None:
    program = SHELL + 'echo "${0##*/}"'
    api.answers["task%20one.mjs?signature=x"] = lambda _: Reply(body=program.encode())
    run(api.offer(program, binary_url=f"{api.url}/tools/task%20one.mjs?signature=x"))
    assert api.only_report()[1]["stdout"] == "task_one.mjs\n"


def test_a_temporary_directory_behind_a_symbolic_link_is_used_by_its_real_path(
    api: FakeApi, run: Run, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(temporary)
    with closing(Workspaces(sparing_children(), tmp_path / "link")) as workspaces:
        run(api.offer(SHELL + 'pwd -P; echo "$HOME"'), workspaces=workspaces)
    working, home = api.only_report()[1]["stdout"].splitlines()
    assert working == home
    assert home.startswith(str(temporary))


def test_a_program_sees_its_deadline_in_seconds_since_1970(api: FakeApi, run: Run) -> None:
    run(api.offer(ENVIRONMENT, timeout_seconds=100))
    assert 0 <= int(environment_seen(api)["JOB_DEADLINE"]) - int(time.time()) - 100 + 20 <= 20


def test_variables_of_the_job_come_first_but_not_before_those_that_describe_it(api: FakeApi, run: Run) -> None:
    own = {"PATH": "/bin:/usr/bin", "LANG": "C", "HOME": "/", "TMPDIR": "/nowhere", "JOB_ID": "mine"}
    run(api.offer(ENVIRONMENT, environment=own), variables=shared_variables({"PATH": "/opt"}, ()))
    seen = environment_seen(api)
    assert {name: seen[name] for name in own} == {**own, "JOB_ID": "job-1"}


def test_a_program_starts_in_an_empty_home_directory_that_is_removed_with_it(api: FakeApi, run: Run) -> None:
    run(api.offer(SHELL + 'pwd -P; ls -A; [ "$PWD" = "$HOME" ] && echo home; mktemp; touch left'))
    directory, home, made = api.only_report()[1]["stdout"].splitlines()
    assert home == "home"
    assert made.startswith(directory)
    assert not os.path.exists(directory)


def test_a_report_is_on_disk_before_anything_is_removed(
    api: FakeApi, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    remove = workspace.remove

    def look_and_remove(path: Path, children: Children) -> None:
        written.append(len(list((tmp_path / "spool").glob("*/*.json"))))
        remove(path, children)

    monkeypatch.setattr(workspace, "remove", look_and_remove)
    run(api.offer(SHELL + "touch left"))
    assert written == [1]


def test_a_report_does_not_wait_for_all_that_its_job_has_left(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a million files. The slot does wait."""
    remove, reported = workspace.remove, threading.Event()
    monkeypatch.setattr("jobqueue.worker.attempts.runner.REMOVAL_WAIT_SECONDS", 0.1)

    def remove_late(path: Path, children: Children) -> None:
        wait_until("the job is reported", lambda: bool(api.reports()))
        reported.set()
        remove(path, children)

    monkeypatch.setattr(workspace, "remove", remove_late)
    run(api.offer(SHELL + "touch left"))
    assert reported.is_set()


def test_a_job_that_leaves_what_is_hard_to_remove_is_still_reported(api: FakeApi, run: Run) -> None:
    nest = "import os\nfor _ in range(20):\n    os.mkdir('d' * 250)\n    os.chdir('d' * 250)"
    run(api.offer(PYTHON + nest))
    assert [verb for verb, _ in api.reports()] == ["complete"]
