"""The result of a job is delivered although the API or the worker is away when the job ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.processes import wait_for_pids
from tests.support.programs import SHELL
from tests.support.service import Service
from tests.support.waiting import wait_until

WAITING = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.05; done; echo finished'
"""Writes its process id into the first file, and ends when there is a second."""


def begin(deployment: Deployment, folder: Path, **variables: str) -> tuple[str, Service]:
    """Start a job that waits until a test lets it end; return its id and its worker."""
    job_id = deployment.submit(WAITING, folder / "pids", folder / "go")
    worker = deployment.worker("one", **variables)
    wait_for_pids(folder / "pids", 1)
    return job_id, worker


def test_a_job_that_ends_while_the_api_is_away_is_reported_when_it_is_back(
    deploy: Callable[[float], Deployment], tmp_path: Path
) -> None:
    deployment = deploy(30)
    job_id, worker = begin(deployment, tmp_path)
    deployment.api.kill()
    (tmp_path / "go").touch()
    wait_until("the job has ended", lambda: worker.logged("event=ended"))
    deployment.api.start()
    job = deployment.wait_for(job_id, "completed")
    assert job["stdout"] == "finished\n"
    assert deployment.attempts(job_id) == [("one", "completed")]


@pytest.mark.parametrize("signal_name", ["kill", "terminate"])
def test_a_report_is_sent_by_the_next_worker_when_its_own_ends_before(
    deploy: Callable[[float], Deployment], tmp_path: Path, signal_name: str
) -> None:
    deployment = deploy(60)
    job_id, worker = begin(deployment, tmp_path, DRAIN_SECONDS="0")
    deployment.api.kill()
    (tmp_path / "go").touch()
    wait_until("the job has ended", lambda: worker.logged("event=ended"))
    wait_until("the report is written", lambda: bool(list((deployment.folder / "spool").glob("*/*.json"))))
    getattr(worker.process, signal_name)()
    worker.process.wait(30)
    deployment.api.start()
    deployment.worker("two")
    job = deployment.wait_for(job_id, "completed")
    assert job["stdout"] == "finished\n"
    assert deployment.attempts(job_id) == [("one", "completed")]


def test_a_program_is_stopped_before_its_lease_ends_while_the_api_is_away(
    deploy: Callable[[float], Deployment], tmp_path: Path
) -> None:
    deployment = deploy(2)
    _, worker = begin(deployment, tmp_path)
    deployment.api.kill()
    wait_until("the program is stopped", lambda: worker.logged("event=lease_lost"))


def test_a_program_may_outlive_its_lease_if_configured(deploy: Callable[[float], Deployment], tmp_path: Path) -> None:
    """When the API is back the lease has its grace, so the result still counts."""
    deployment = deploy(2)
    job_id, worker = begin(deployment, tmp_path, ON_LEASE_LOSS="finish")
    deployment.api.kill()
    wait_until("most of the lease is over", lambda: worker.logged("event=lease_outlived"))
    assert not worker.logged("event=lease_lost")
    (tmp_path / "go").touch()
    wait_until("the job has ended", lambda: worker.logged("event=ended"))
    deployment.api.start()
    assert deployment.wait_for(job_id, "completed")["stdout"] == "finished\n"
