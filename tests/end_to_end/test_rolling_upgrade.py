"""Workers and servers are not upgraded at the same moment: each works with the version before of the other."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.deployment import LEASE_SECONDS, Deployment, deployed, running_host
from tests.support.logins import administrator
from tests.support.older_version import extract_older_version
from tests.support.paths import ROOT
from tests.support.processes import wait_for_pids
from tests.support.programs import SHELL
from tests.support.serving import Server, running
from tests.support.waiting import wait_until

WAITING = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.05; done; echo finished'
"""Writes its process id into the first file, and ends when there is a second."""


@pytest.fixture(scope="module")
def older() -> Iterator[Path]:
    """The code of the version before."""
    with tempfile.TemporaryDirectory(prefix="jq-older-") as folder:
        yield extract_older_version(Path(folder))


@contextmanager
def upgrade(server: Path, worker: Path, redis_url: str, folder: Path) -> Iterator[Deployment]:
    """A server and workers of these versions."""
    with administrator(redis_url) as client:
        client.flushall()
    settings = {"REDIS_URL": redis_url, "HEARTBEAT_TIMEOUT_SECONDS": str(LEASE_SECONDS)}
    with (
        running(Server(folder, settings, server)) as api,
        running_host() as (host, programs),
        deployed(api, host, programs, folder) as deployment,
    ):
        deployment.worker_code = worker
        yield deployment


def live_through(deployment: Deployment, folder: Path) -> None:
    """Run jobs to their ends, follow and cancel one, and drain the worker while another runs."""
    short = [deployment.submit(SHELL + f"echo {number}; exit {number}") for number in range(4)]
    worker = deployment.worker("one", SLOTS="2", KILL_GRACE_SECONDS="0.2")
    ended = [deployment.wait_for(job_id, "completed", "failed") for job_id in short]
    assert [(job["exit_code"], job["stdout"]) for job in ended] == [(number, f"{number}\n") for number in range(4)]

    loud = deployment.submit(SHELL + 'echo begun; echo $$ >> "$1"; exec sleep 600', folder / "loud")
    wait_for_pids(folder / "loud", 1)
    wait_until("its output can be followed", lambda: output_of(deployment, loud) == "begun\n")
    requests.delete(f"{deployment.api.url}/jobs/{loud}?force=true", timeout=5)
    assert deployment.wait_for(loud, "cancelled")["reason"] == "cancelled"

    last = deployment.submit(WAITING, folder / "last", folder / "go")
    wait_for_pids(folder / "last", 1)
    worker.process.send_signal(signal.SIGTERM)
    wait_until("the worker drains", lambda: worker.logged("event=stopping"))
    (folder / "go").touch()
    assert worker.wait() == 0
    assert deployment.jobs.get(last)["stdout"] == "finished\n"
    for job_id in (*short, loud, last):
        assert len(deployment.attempts(job_id)) == 1
    assert "lease_lost" not in worker.log.read_text()


def output_of(deployment: Deployment, job_id: str) -> str:
    answer = requests.get(f"{deployment.api.url}/jobs/{job_id}/output?stream=stdout", timeout=5)
    return str(answer.json()["data"])


def test_a_worker_of_the_version_before_works_with_this_server(
    standing: tuple[str, object], older: Path, tmp_path: Path
) -> None:
    with upgrade(ROOT, older, standing[0], tmp_path) as deployment:
        live_through(deployment, tmp_path)


def test_this_worker_works_with_a_server_of_the_version_before(
    standing: tuple[str, object], older: Path, tmp_path: Path
) -> None:
    with upgrade(older, ROOT, standing[0], tmp_path) as deployment:
        live_through(deployment, tmp_path)
        assert deployment.workers[0].logged("event=older_api")
