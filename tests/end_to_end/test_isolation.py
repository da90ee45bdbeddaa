"""A worker isolates its jobs as configured, or says why it cannot."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jobqueue.worker.isolation import levels
from tests.support.confined import python, why_impossible
from tests.support.deployment import Deployment, own_directories, run_worker
from tests.support.processes import alive, wait_for_pids
from tests.support.programs import SHELL
from tests.support.waiting import wait_until

DAEMON = SHELL + """setsid sh -c 'echo $$ >> "$0"; exec sleep 600' "$1" & until [ -s "$1" ]; do sleep 0.05; done"""
CONFINED = [level for level in levels.LEVELS if level != "none"]


@pytest.fixture
def passable() -> Iterator[Path]:
    """A folder that every user may enter and write into, as /tmp is."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder:
        os.chmod(folder, 0o1777)
        yield Path(folder)


def skip_unless_possible(level: str) -> None:
    if why_not := why_impossible(level):
        pytest.skip(why_not)


@pytest.mark.parametrize("level", levels.LEVELS)
def test_a_job_is_run_and_says_how_it_ended(deployment: Deployment, passable: Path, level: str) -> None:
    skip_unless_possible(level)
    job_id = deployment.submit(SHELL + 'echo "$1" > file; cat file; exit 3', "hello")
    deployment.worker("one", ISOLATION=level, TMPDIR=str(passable))
    job = deployment.wait_for(job_id, "failed")
    assert (job["stdout"], job["exit_code"], job["reason"]) == ("hello\n", 3, "exited"), job["stderr"]


@pytest.mark.parametrize("level", CONFINED)
def test_a_job_cannot_read_what_its_worker_keeps(deployment: Deployment, passable: Path, level: str) -> None:
    skip_unless_possible(level)
    first = deployment.submit(SHELL + "echo cached")
    worker = deployment.worker("one", ISOLATION=level, TMPDIR=str(passable))
    deployment.wait_for(first, "completed")
    look = 'for file in $(find "$1" -type f); do cat "$file" && echo READ; done; exit 0'
    job = deployment.wait_for(deployment.submit(SHELL + look, deployment.folder / "cache"), "completed", "failed")
    assert "READ" not in job["stdout"]
    assert alive(worker.pid)


def test_a_job_without_network_cannot_reach_the_api_that_its_worker_uses(
    deployment: Deployment, passable: Path
) -> None:
    skip_unless_possible("landlock")
    host, port = urlsplit(deployment.api.url).hostname, urlsplit(deployment.api.url).port
    script = f"#!{python()} -IS\nimport socket\nsocket.create_connection(({host!r}, {port}))\n"
    job_id = deployment.submit(script)
    deployment.worker("one", ISOLATION="landlock", NETWORK="none", TMPDIR=str(passable))
    job = deployment.wait_for(job_id, "completed", "failed")
    assert (job["status"], job["reason"]) == ("failed", "exited")
    assert "Address family not supported" in job["stderr"]


@pytest.mark.parametrize("level", CONFINED)
def test_an_isolated_job_that_runs_for_too_long_is_stopped_with_all_its_processes(
    deployment: Deployment, passable: Path, level: str
) -> None:
    """It writes to its own output, since an isolated program may write nowhere else."""
    skip_unless_possible(level)
    job = deployment.job(SHELL + "trap 'echo asked; exit 7' TERM; echo begun; while true; do sleep 0.1; done")
    job_id = deployment.jobs.submit({**job, "timeout_seconds": 1})
    deployment.worker("one", ISOLATION=level, TMPDIR=str(passable))
    ended = deployment.wait_for(job_id, "failed")
    assert (ended["reason"], ended["stdout"], ended["exit_code"]) == ("timeout", "begun\nasked\n", 7)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use another user")
def test_a_job_of_another_user_leaves_no_process(deployment: Deployment, passable: Path) -> None:
    job_id = deployment.submit(DAEMON, passable / "pids")
    deployment.worker("one", ISOLATION="user", TMPDIR=str(passable))
    deployment.wait_for(job_id, "completed")
    pids = wait_for_pids(passable / "pids", 1)
    wait_until("no process of the job is left", lambda: not any(map(alive, pids)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use another user")
def test_a_tmpdir_that_a_job_could_not_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    worker = run_worker(**own_directories(tmp_path), ISOLATION="user")
    assert worker.returncode == 1
    assert worker.stderr.splitlines()[-1].startswith(f"Programs cannot be run in {str(tmp_path)!r}")


def test_an_isolation_level_that_is_not_possible_here_is_refused(tmp_path: Path) -> None:
    worker = run_worker(**own_directories(tmp_path), ISOLATION="bwrap", PATH=str(tmp_path))
    if worker.returncode == 0:
        pytest.skip("a bwrap lies beside this Python")
    assert worker.returncode == 1
    assert worker.stderr.splitlines()[-1].startswith("ISOLATION is 'bwrap', but ")
