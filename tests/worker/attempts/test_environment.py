"""A program finds in its environment what it is told, a few things that every program needs, and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.client.claims import ClaimedJob
from jobqueue.worker.attempts.environment import shared_variables, variables_of

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


def test_nothing_of_the_workers_is_shared_unasked() -> None:
    assert shared_variables(SECRETS, ()) == {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def test_path_and_language_and_time_zone_are_the_workers() -> None:
    variables = {"PATH": "/opt/bin", "LANG": "de_DE.UTF-8", "LC_ALL": "C", "TZ": "Europe/Berlin"}
    assert shared_variables({**variables, **SECRETS}, ()) == variables


def test_what_is_to_be_passed_through_is_and_what_is_not_there_is_left_out() -> None:
    variables = {"PATH": "/bin", "LANG": "C", "MODEL_DIR": "/models", "EMPTY": "", "OTHER": "x"}
    shared = shared_variables(variables, ["MODEL_DIR", "EMPTY", "MISSING"])
    assert shared == {"PATH": "/bin", "LANG": "C", "MODEL_DIR": "/models", "EMPTY": ""}


def test_a_program_is_told_about_itself() -> None:
    assert variables_of(JOB, {}, WORK, None) == {
        "HOME": "/somewhere/work",
        "TMPDIR": "/somewhere/work",
        "JOB_ID": "id-1",
        "JOB_TYPE": "demo",
        "JOB_ATTEMPT": "3",
        "JOB_DEADLINE": "",
    }


@pytest.mark.parametrize("timeout_seconds", [0.5, 60, 1e9])
def test_a_deadline_is_in_seconds_since_1970(timeout_seconds: float) -> None:
    before = time.time()
    deadline = int(variables_of(JOB, {}, WORK, timeout_seconds)["JOB_DEADLINE"])
    assert int(before + timeout_seconds) <= deadline <= time.time() + timeout_seconds


def test_what_a_job_asks_for_comes_before_what_every_program_gets() -> None:
    job = replace(JOB, env_variables={"PATH": "/job/bin", "HOME": "/job", "TMPDIR": "", "OWN": "ü\n"})
    found = variables_of(job, {"PATH": "/bin", "LANG": "C"}, WORK, None)
    assert {name: found[name] for name in ("PATH", "LANG", "HOME", "TMPDIR", "OWN")} == {
        "PATH": "/job/bin",
        "LANG": "C",
        "HOME": "/job",
        "TMPDIR": "",
        "OWN": "ü\n",
    }


def test_what_a_program_is_told_about_itself_cannot_be_replaced() -> None:
    names = ("JOB_ID", "JOB_TYPE", "JOB_ATTEMPT", "JOB_DEADLINE")
    job = replace(JOB, env_variables=dict.fromkeys(names, "forged"))
    found = variables_of(job, dict.fromkeys(names, "forged"), WORK, None)
    assert [found[name] for name in names] == ["id-1", "demo", "3", ""]


def test_what_is_passed_through_does_not_move_a_programs_home() -> None:
    found = variables_of(JOB, {"HOME": "/home/worker", "TMPDIR": "/tmp"}, WORK, None)
    assert (found["HOME"], found["TMPDIR"]) == (str(WORK), str(WORK))
