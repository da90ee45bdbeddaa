"""A worker that is asked to stop finishes its jobs, claims no other and ends in time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobqueue.worker.lifecycle import AFTER_DRAIN_SECONDS
from tests.support.deployment import LEASE_SECONDS, Deployment
from tests.support.fake_server import serving
from tests.support.processes import alive, family, signal_all, wait_for_pids
from tests.support.programs import FOREVER, SHELL
from tests.support.waiting import wait_until

WAITING = SHELL + 'echo $$ >> "$1"; while [ ! -e "$2" ]; do sleep 0.05; done; echo finished'
"""Writes its process id into the first file, and ends when there is a second."""

SLACK_SECONDS = 2.0
"""What a busy machine adds."""

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_worker_that_drains_finishes_its_job_and_claims_no_other(
    deployment: Deployment, tmp_path: Path, number: signal.Signals
) -> None:
    running, waiting = deployment.submit(WAITING, tmp_path / "pids", tmp_path / "go"), deployment.submit(SHELL)
    worker = deployment.worker("one")
    wait_for_pids(tmp_path / "pids", 1)
    everybody = family(worker.pid)
    worker.process.send_signal(number)
    wait_until("the worker has got the signal", lambda: worker.logged("event=stopping"))
    (tmp_path / "go").touch()
    assert worker.wait() == 0
    assert deployment.jobs.get(running)["stdout"] == "finished\n"
    assert deployment.attempts(running) == [("one", "completed")]
    assert deployment.jobs.get(waiting)["status"] == "pending"
    assert not any(map(alive, everybody))


@pytest.mark.parametrize("number", SIGNALS)
def test_an_idle_worker_ends_at_once(deployment: Deployment, number: signal.Signals) -> None:
    worker = deployment.worker()
    everybody = family(worker.pid)
    begun = time.monotonic()
    worker.process.send_signal(number)
    assert worker.wait() == 0
    assert time.monotonic() - begun < 5
    assert len(everybody) == 2
    assert not any(map(alive, everybody))
    assert worker.logged("event=worker_stopped")


def test_a_worker_that_waits_for_the_api_ends_at_once(deployment: Deployment) -> None:
    worker = deployment.worker(API_URL="http://127.0.0.1:1/api/v1")
    wait_until("the worker waits", lambda: worker.logged("event=api_away"))
    begun = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_releases_the_running_job_at_once(
    deployment: Deployment, tmp_path: Path, number: signal.Signals
) -> None:
    """The job is stopped and returns to its old place in the queue; the attempt does not count as lost."""
    job_id = deployment.submit(FOREVER, tmp_path / "pids")
    worker = deployment.worker("one", MAX_ATTEMPTS="1")
    wait_for_pids(tmp_path / "pids", 1)
    everybody = family(worker.pid)
    worker.process.send_signal(number)
    wait_until("the worker has got the signal", lambda: worker.logged("event=stopping"))
    begun = time.monotonic()
    worker.process.send_signal(number)
    assert worker.wait() == 0
    assert time.monotonic() - begun < 10
    assert not any(map(alive, everybody))
    assert deployment.jobs.get(job_id)["status"] == "pending"
    assert deployment.attempts(job_id) == [("one", "released")]


def test_a_job_that_has_not_ended_in_time_is_released(deployment: Deployment, tmp_path: Path) -> None:
    """During the drain the lease is kept; after it the job gets SIGTERM, then SIGKILL."""
    job_id = deployment.submit(FOREVER, tmp_path / "pids")
    worker = deployment.worker("one", DRAIN_SECONDS=str(1.5 * LEASE_SECONDS))
    wait_for_pids(tmp_path / "pids", 1)
    worker.process.send_signal(signal.SIGTERM)
    wait_until("the worker has got the signal", lambda: worker.logged("event=stopping"))
    assert deployment.jobs.get(job_id)["status"] == "running"
    assert worker.wait() == 0
    job = deployment.jobs.get(job_id)
    assert job["status"] == "pending"
    assert [(each["status"], each["reason"]) for each in job["attempts"]] == [("released", "worker_shutdown")]


def test_a_job_that_exits_with_code_0_on_sigterm_is_released_all_the_same(
    deployment: Deployment, tmp_path: Path
) -> None:
    """It may not have done its work."""
    trap = SHELL + 'trap "exit 0" TERM; echo $$ >> $1; while true; do sleep 0.05; done'
    job_id = deployment.submit(trap, tmp_path / "pids")
    worker = deployment.worker("one", DRAIN_SECONDS="0")
    wait_for_pids(tmp_path / "pids", 1)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert deployment.attempts(job_id) == [("one", "released")]


def test_a_released_job_is_the_next_to_be_claimed(deployment: Deployment, tmp_path: Path) -> None:
    first = deployment.submit(FOREVER, tmp_path / "pids")
    worker = deployment.worker("one", DRAIN_SECONDS="0")
    wait_for_pids(tmp_path / "pids", 1)
    second = deployment.submit(SHELL)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    deployment.worker("two")
    deployment.wait_for(first, "running")
    wait_for_pids(tmp_path / "pids", 2)
    assert deployment.jobs.get(second)["status"] == "pending"


def test_a_signal_to_the_worker_alone_does_not_reach_the_job(deployment: Deployment, tmp_path: Path) -> None:
    trap = SHELL + 'trap "echo signalled" TERM INT; echo $$ >> $1; while [ ! -e $2 ]; do sleep 0.05; done'
    job_id = deployment.submit(trap, tmp_path / "pids", tmp_path / "go")
    worker = deployment.worker()
    wait_for_pids(tmp_path / "pids", 1)
    worker.process.send_signal(signal.SIGTERM)
    wait_until("the worker has got the signal", lambda: worker.logged("event=stopping"))
    (tmp_path / "go").touch()
    assert worker.wait() == 0
    assert deployment.jobs.get(job_id)["stdout"] == ""


@pytest.mark.parametrize(
    "program",
    [
        "echo $$ >> $1; exec sleep 600",
        'trap "exit 1" TERM; echo $$ >> $1; while true; do sleep 0.01; done',
        "echo $$ >> $1; sleep 600",
    ],
)
def test_a_job_that_the_platform_kills_together_with_its_worker_has_not_failed(
    deployment: Deployment, tmp_path: Path, program: str
) -> None:
    """Heroku sends SIGTERM to every process, at each deploy and once a day."""
    job_id = deployment.submit(SHELL + program, tmp_path / "pids")
    worker = deployment.worker("one")
    wait_for_pids(tmp_path / "pids", 1)
    signal_all(reversed(family(worker.pid)), signal.SIGTERM)  # the job first
    assert worker.wait() == 0
    job = deployment.jobs.get(job_id)
    assert job["status"] == "pending"
    assert [(each["status"], each["reason"]) for each in job["attempts"]] == [("released", "worker_shutdown")]


def test_a_worker_leaves_nothing_in_its_temporary_directory(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(SHELL + "touch left; mktemp; mkdir locked; chmod 000 locked")
    worker = deployment.worker("one")
    deployment.wait_for(job_id, "completed")
    worker.process.send_signal(signal.SIGTERM)
    worker.wait()
    assert list((tmp_path / "one.tmp").iterdir()) == []


STOPS_SUPERVISOR = SHELL + 'kill -STOP $PPID; echo $$ >> "$1"; sleep 600'


def test_a_supervisor_that_its_job_has_stopped_does_not_hold_up_the_worker_and_leaves_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    """It is continued, and its job released."""
    job_id = deployment.submit(STOPS_SUPERVISOR, tmp_path / "pids")
    worker = deployment.worker("one", DRAIN_SECONDS="0")
    wait_for_pids(tmp_path / "pids", 1)
    everybody = family(worker.pid)
    begun = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert time.monotonic() - begun < AFTER_DRAIN_SECONDS + SLACK_SECONDS
    assert not any(map(alive, everybody))
    assert len(everybody) == 4
    deployment.wait_for(job_id, "pending")
    assert deployment.attempts(job_id) == [("one", "released")]


def test_an_api_that_hangs_does_not_hold_up_a_worker_that_ends(deployment: Deployment) -> None:
    with serving(lambda _: hanging.hang()) as hanging:
        worker = deployment.worker("one", DRAIN_SECONDS="0", API_URL=hanging.url)
        wait_until("the worker has claimed", lambda: bool(hanging.requests))
        begun = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert time.monotonic() - begun < AFTER_DRAIN_SECONDS + SLACK_SECONDS


def test_a_release_that_takes_its_time_is_waited_for(deploy: Callable[[float], Deployment], tmp_path: Path) -> None:
    deployment = deploy(30)
    job_id = deployment.submit(FOREVER, tmp_path / "pids")
    worker = deployment.worker("one", DRAIN_SECONDS="0")
    wait_for_pids(tmp_path / "pids", 1)
    frozen = deployment.api.processes()

    def thaw() -> None:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)

    worker.process.send_signal(signal.SIGTERM)
    wait_until("the worker has got the signal", lambda: worker.logged("event=stopping"))
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until("the worker releases the job", lambda: worker.logged("event=ended"))
        threading.Timer(0.8, thaw).start()
        assert worker.wait() == 0
    finally:
        thaw()
    deployment.wait_for(job_id, "pending")
    assert deployment.attempts(job_id) == [("one", "released")]
    assert not worker.logged("event=reports_left")
