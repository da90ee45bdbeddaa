"""A program's environment has what its job asks for, what describes the job, what every program needs; nothing else."""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.worker.attempts.environment import shared_variables, user_name, variables_of

WORK = Path("/somewhere/work")
JOB = ClaimedJob("id-1", "http://host/program", "ab" * 32, [], {}, "token-1", 60_000, "demo", 3)
SECRETS = {
    "API_URL": "http://user:canary@host",
    "REDIS_URL": "redis://:canary@host",
    "AWS_SECRET_ACCESS_KEY": "canary",
    "LD_PRELOAD": "canary.so",
    "HOME": "/home/canary",
    "PYTHONPATH": "canary",
    "TMPDIR": "/canary",
}


def test_no_variable_of_the_worker_is_shared_by_default() -> None:
    assert shared_variables(SECRETS, ()) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def test_path_language_and_time_zone_are_the_workers() -> None:
    variables = {
        "PATH": "/opt/bin",
        "LANG": "de_DE.UTF-8",
        "PYTHONUNBUFFERED": "",
        "LC_ALL": "C",
        "TZ": "Europe/Berlin",
    }
    assert shared_variables({**variables, **SECRETS}, ()) == variables


def test_variables_to_pass_through_are_shared_and_missing_ones_left_out() -> None:
    variables = {"PATH": "/bin", "LANG": "C", "MODEL_DIR": "/models", "EMPTY": "", "OTHER": "x"}
    shared = shared_variables(variables, ["MODEL_DIR", "EMPTY", "MISSING"])
    assert shared == {"PATH": "/bin", "LANG": "C", "PYTHONUNBUFFERED": "1", "MODEL_DIR": "/models", "EMPTY": ""}


def test_a_program_gets_variables_that_describe_its_job() -> None:
    assert variables_of(JOB, {}, WORK, None, "worker") == {
        "USER": "worker",
        "LOGNAME": "worker",
        "HOME": "/somewhere/work",
        "TMPDIR": "/somewhere/work",
        "JOB_ID": "id-1",
        "JOB_TYPE": "demo",
        "JOB_ATTEMPT": "3",
        "JOB_DEADLINE": "",
    }


@pytest.mark.parametrize("timeout_seconds", [0.5, 60, 1e9])
def test_the_deadline_is_in_seconds_since_1970(timeout_seconds: float) -> None:
    before = time.time()
    deadline = int(variables_of(JOB, {}, WORK, timeout_seconds, "worker")["JOB_DEADLINE"])
    assert int(before + timeout_seconds) <= deadline <= time.time() + timeout_seconds


def test_variables_of_the_job_replace_those_that_every_program_gets() -> None:
    own = {"PATH": "/job/bin", "HOME": "/job", "TMPDIR": "", "OWN": "ü\n", "USER": "me", "PYTHONUNBUFFERED": ""}
    job = replace(JOB, env_variables=own)
    environment = variables_of(job, {"PATH": "/bin", "LANG": "C"}, WORK, None, "worker")
    assert {name: environment[name] for name in own} == own
    assert environment["LANG"] == "C"


def test_variables_that_describe_the_job_cannot_be_replaced() -> None:
    names = ("JOB_ID", "JOB_TYPE", "JOB_ATTEMPT", "JOB_DEADLINE")
    job = replace(JOB, env_variables=dict.fromkeys(names, "forged"))
    environment = variables_of(job, dict.fromkeys(names, "forged"), WORK, None, "worker")
    assert [environment[name] for name in names] == ["id-1", "demo", "3", ""]


def test_variables_passed_through_do_not_move_a_programs_home() -> None:
    environment = variables_of(JOB, {"HOME": "/home/worker", "TMPDIR": "/tmp"}, WORK, None, "worker")
    assert (environment["HOME"], environment["TMPDIR"]) == (str(WORK), str(WORK))


def test_a_program_is_told_the_user_that_it_runs_as() -> None:
    assert user_name(None) == pwd.getpwuid(os.geteuid()).pw_name
    assert user_name(0) == "root"
    assert user_name(59_000_017) == "59000017"


def test_a_user_that_is_passed_through_is_the_workers() -> None:
    assert variables_of(JOB, {"USER": "operator"}, WORK, None, "worker")["USER"] == "operator"
