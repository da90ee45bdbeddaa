"""A job from its submission over HTTP to its result: claimed, downloaded, run and read."""

from __future__ import annotations

import json
import re

import pytest
import requests

from jobqueue.output import HALF_BYTES, missing_line
from tests.support.arguments import ODD_ARGUMENTS
from tests.support.deployment import LEASE_SECONDS, Deployment
from tests.support.processes import children, environment, peak_megabytes
from tests.support.programs import ARGUMENTS, ENVIRONMENT, SHELL
from tests.support.waiting import wait_until

MEGABYTE = 1 << 20
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def test_a_job_is_run_and_its_output_and_exit_code_can_be_read(deployment: Deployment) -> None:
    job_id = deployment.submit(SHELL + 'echo "$1 $KEY"; echo err >&2', "two words", environment={"KEY": "value"})
    deployment.worker("one")
    job = deployment.wait_for(job_id, "completed")
    assert (job["stdout"], job["stderr"], job["exit_code"]) == ("two words value\n", "err\n", 0)
    assert (job["executor_id"], job["error_message"]) == ("one", None)
    (attempt,) = job["attempts"]
    assert (attempt["executor_id"], attempt["executor_ip"], attempt["status"]) == ("one", "127.0.0.1", "completed")
    for time in (job["created_at"], job["started_at"], job["completed_at"], attempt["started_at"], attempt["ended_at"]):
        assert re.fullmatch(TIMESTAMP, time)


@pytest.mark.parametrize(
    ("program", "exit_code", "message"),
    [
        (SHELL + "exit 3", 3, "exited with code 3"),
        (SHELL + "kill -9 $$", 137, "killed by signal 9 (SIGKILL)"),
        ("no program", None, "could not be started"),
    ],
)
def test_a_job_that_fails_says_why(deployment: Deployment, program: str, exit_code: int | None, message: str) -> None:
    job_id = deployment.submit(program)
    deployment.worker("one")
    job = deployment.wait_for(job_id, "failed")
    assert job["exit_code"] == exit_code
    assert message in job["error_message"]
    assert deployment.attempts(job_id) == [("one", "failed")]


def test_a_program_that_is_wrong_or_missing_is_not_run(deployment: Deployment) -> None:
    wrong = deployment.jobs.submit({**deployment.job(SHELL + "echo hello"), "binary_sha256": "ab" * 32})
    missing = deployment.jobs.submit({**deployment.job(SHELL), "binary_url": f"{deployment.host.url}/nowhere"})
    worker = deployment.worker("one")
    assert deployment.wait_for(wrong, "failed")["reason"] == "checksum_mismatch"
    assert deployment.wait_for(missing, "failed")["reason"] == "download_failed"
    assert worker.logged("checksum mismatch: expected abab")
    assert worker.logged("download failed: 404 Not Found")


def test_arguments_arrive_as_they_were_submitted(deployment: Deployment) -> None:
    job_id = deployment.submit(ARGUMENTS, *ODD_ARGUMENTS)
    deployment.worker()
    assert json.loads(deployment.wait_for(job_id, "completed")["stdout"]) == ODD_ARGUMENTS


def test_a_job_sees_nothing_of_the_workers_environment(deployment: Deployment) -> None:
    given = {"KEY": "a=b\nc", "EMPTY": "", "ümläut": "日本"}
    job_id = deployment.submit(ENVIRONMENT + " /proc/$PPID/environ || true", environment=given)
    worker = deployment.worker(CANARY="secret")
    job = deployment.wait_for(job_id, "completed")
    assert environment(worker.pid)["CANARY"] == "secret"
    assert "secret" not in job["stdout"]
    own = dict(line.split("=", 1) for line in job["stdout"].split("\0")[:-1][: len(given) + 11])
    described = {"JOB_ID", "JOB_TYPE", "JOB_ATTEMPT", "JOB_DEADLINE"}
    assert set(own) == {*given, *described, "PATH", "LANG", "HOME", "TMPDIR", "USER", "LOGNAME", "PYTHONUNBUFFERED"}
    assert {name: own[name] for name in given} == given


def test_binary_output_that_is_too_long_is_cut_and_stored(deployment: Deployment) -> None:
    """NUL is the worst case: each is six bytes of JSON."""
    job_id = deployment.submit(SHELL + "head -c 1500000 /dev/zero; head -c 1500000 /dev/urandom >&2")
    deployment.worker()
    job = deployment.wait_for(job_id, "completed")
    half = "\0" * HALF_BYTES
    assert job["stdout"] == half + missing_line(1_500_000 - 2 * HALF_BYTES) + half
    assert (job["stdout_bytes"], job["stdout_truncated"]) == (1_500_000, True)
    assert MEGABYTE * 0.99 < len(job["stderr"].encode()) <= MEGABYTE
    both = deployment.wait_for(deployment.submit(SHELL + "head -c 2M /dev/zero | tee /dev/stderr"), "completed")
    assert both["stdout"] == both["stderr"] == half + missing_line(2 * MEGABYTE - 2 * HALF_BYTES) + half


@pytest.mark.parametrize(
    "program",
    [
        "yes | head -c 2M; head -c 3M /dev/urandom >&2; head -c 1G /dev/zero",
        "head -c 500M /dev/zero & head -c 500M /dev/zero >&2; wait",  # 12 MB of JSON
        "for part in 1 2 3 4; do head -c 125M /dev/zero; head -c 125M /dev/zero >&2; sleep 0.8; done",  # sent live
    ],
)
def test_a_gigabyte_of_output_takes_little_memory(deployment: Deployment, program: str) -> None:
    """How much both processes take before depends on the release of Python, so only what they grow by counts."""
    worker = deployment.worker()
    deployment.wait_for(deployment.submit(SHELL + "echo little"), "completed")
    (supervisor,) = children(worker.pid)
    little = {pid: peak_megabytes(pid) for pid in (supervisor, worker.pid)}
    deployment.wait_for(deployment.submit(SHELL + program), "completed", seconds=100)
    grown = {pid: peak_megabytes(pid) - little[pid] for pid in little}
    assert grown[supervisor] < 48
    assert grown[worker.pid] < 15  # each copy of the live output would be 3 MB more


def test_a_job_longer_than_its_lease_is_done_in_one_attempt(deployment: Deployment) -> None:
    job_id = deployment.submit(SHELL + f"sleep {1.5 * LEASE_SECONDS}")
    deployment.worker("one")
    deployment.wait_for(job_id, "completed")
    assert deployment.attempts(job_id) == [("one", "completed")]


def test_a_cancelled_job_is_never_run(deployment: Deployment) -> None:
    cancelled, other = deployment.submit(SHELL), deployment.submit(SHELL)
    assert requests.delete(f"{deployment.api.url}/jobs/{cancelled}", timeout=5).status_code == 200
    deployment.worker()
    deployment.wait_for(other, "completed")
    assert deployment.jobs.get(cancelled)["status"] == "cancelled"
    assert deployment.attempts(cancelled) == []


def test_a_job_submitted_while_a_worker_is_idle_is_soon_done(deployment: Deployment) -> None:
    deployment.worker()
    job_id = deployment.submit(SHELL + "echo hello")
    assert deployment.wait_for(job_id, "completed", seconds=10)["stdout"] == "hello\n"


def test_a_job_that_kills_its_supervisor_fails_in_the_end_and_does_not_end_the_worker(deployment: Deployment) -> None:
    poison = deployment.submit(SHELL + "kill -9 $PPID; exec sleep 60")
    worker = deployment.worker("one")
    job = deployment.wait_for(poison, "failed", seconds=40)
    assert [attempt["status"] for attempt in job["attempts"]] == ["lost"] * 3
    assert job["error_message"]
    good = deployment.submit(SHELL)
    deployment.wait_for(good, "completed")
    wait_until("no process of the job is left", lambda: len(children(worker.pid)) == 1)
