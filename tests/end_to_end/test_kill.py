"""Whatever process is killed, no job is lost and none has two results."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import ApiUnavailable, Transport
from tests.support.deployment import LEASE_SECONDS, Deployment
from tests.support.processes import alive, family, signal_all, state, wait_for_pids, wait_until_gone
from tests.support.programs import SHELL, WITH_ORPHANS
from tests.support.restartable_redis import RestartableRedis
from tests.support.service import Service
from tests.support.waiting import wait_until

TAKES_TURNS = (
    SHELL
    + """
mkdir "$1/first" 2>/dev/null && turn=first || turn=second
echo $$ > "$1/$turn.pid"
while [ ! -e "$1/$turn.go" ]; do sleep 0.02; done
echo "$turn"
"""
)
"""Run twice in one folder, each run knows whether it is the first, and ends when a test lets it."""

TICKS = (
    SHELL
    + """
echo $$ >> "$1.pids"
while [ ! -e "$1.go" ]; do echo "$JOB_ATTEMPT" >> "$1"; sleep 0.01; done
"""
)
"""Writes its process id, and then the number of its attempt again and again."""

ONCE_LONG = SHELL + '[ -e "$1" ] && echo again && exit; echo $$ > "$1.new"; mv "$1.new" "$1"; sleep 600'
"""The first run writes its process id into a file and takes for ever, the second ends at once."""


def submit_from_threads(deployment: Deployment, stop: threading.Event, known: list[str]) -> None:
    """Submit job after job until `stop` is set; `known` gets the id of each that was answered 201."""

    def submit(_: int) -> None:
        with closing(Transport(deployment.api.url)) as transport:
            while not stop.wait(random.uniform(0.01, 0.05)):
                with suppress(ApiUnavailable):
                    known.append(Jobs(transport).submit(deployment.job(SHELL + "echo hello")))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(submit, range(4)))


@contextmanager
def under_load(deployment: Deployment) -> Iterator[list[str]]:
    """Submit jobs all the time; yields the ids of those that the API has promised to run."""
    known: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=submit_from_threads, args=(deployment, stop, known))
    thread.start()
    try:
        wait_until("there is some load", lambda: len(known) >= 20)
        yield known
    finally:
        stop.set()
        thread.join()


def wait_for_more(known: list[str], count: int = 10) -> None:
    """Return when that many more jobs have been promised."""
    enough = len(known) + count
    wait_until("more jobs are submitted", lambda: len(known) >= enough)


def test_the_job_of_a_killed_worker_is_run_by_another(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(ONCE_LONG, tmp_path / "pid")
    first = deployment.worker("first")
    (program,) = wait_for_pids(tmp_path / "pid", 1)
    everybody = family(first.pid)
    first.kill()
    wait_until_gone(everybody)
    assert program in everybody
    assert deployment.wait_for(job_id, "pending")["exit_code"] is None
    deployment.worker("second")
    job = deployment.wait_for(job_id, "completed")
    assert (job["stdout"], job["executor_id"]) == ("again\n", "second")
    assert deployment.attempts(job_id) == [("first", "lost"), ("second", "completed")]


def test_every_process_of_a_killed_workers_job_is_gone(deployment: Deployment, tmp_path: Path) -> None:
    deployment.submit(WITH_ORPHANS, tmp_path / "pids", 600)
    worker = deployment.worker()
    pids = wait_for_pids(tmp_path / "pids", 5)
    worker.kill()
    wait_until_gone(pids)


def test_a_job_keeps_its_place_in_the_queue_when_its_worker_is_killed(deployment: Deployment, tmp_path: Path) -> None:
    first = deployment.submit(ONCE_LONG, tmp_path / "pid")
    worker = deployment.worker("first")
    wait_for_pids(tmp_path / "pid", 1)
    others = [deployment.submit(SHELL + "sleep 0.1") for _ in range(3)]
    worker.kill()
    deployment.wait_for(first, "pending")
    deployment.worker("second")
    deployment.wait_for(others[0], "running", "completed")
    assert deployment.jobs.get(first)["status"] == "completed"


def suspend(worker: Service, whole_group: bool) -> None:
    """Suspend a worker, or every process of its process group that it has started, as Ctrl-Z in a terminal does."""
    group = [pid for pid in family(worker.pid) if os.getpgid(pid) == os.getpgid(worker.pid)]
    signal_all(group if whole_group else [worker.pid], signal.SIGSTOP)
    wait_until("the worker is suspended", lambda: state(worker.pid) == "T")


@pytest.mark.parametrize("whole_group", [False, True])
def test_two_attempts_never_run_at_once_although_a_worker_is_suspended(
    deployment: Deployment, tmp_path: Path, whole_group: bool
) -> None:
    job_id = deployment.submit(TICKS, tmp_path / "ticks")
    suspended = deployment.worker("first")
    (program,) = wait_for_pids(tmp_path / "ticks.pids", 1)
    suspend(suspended, whole_group)
    deployment.wait_for(job_id, "pending")
    assert not alive(program)
    second = deployment.worker("second")
    wait_for_pids(tmp_path / "ticks.pids", 2)
    signal_all(family(suspended.pid), signal.SIGCONT)
    wait_until("the suspended worker learns that it has lost the lease", lambda: suspended.logged("event=lease_lost"))
    (tmp_path / "ticks.go").touch()
    deployment.wait_for(job_id, "completed")
    ticks = (tmp_path / "ticks").read_text().split()
    assert ticks == sorted(ticks)
    assert set(ticks) == {"1", "2"}
    assert deployment.attempts(job_id) == [("first", "lost"), ("second", "completed")]
    assert not suspended.logged("report_refused")
    second.kill_whole()
    assert deployment.wait_for(deployment.submit(SHELL), "completed")["executor_id"] == "first"


def test_a_result_that_comes_after_another_result_changes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(TAKES_TURNS, tmp_path)
    paused = deployment.worker("first")
    (program,) = wait_for_pids(tmp_path / "first.pid", 1)
    os.kill(paused.pid, signal.SIGSTOP)
    (tmp_path / "first.go").touch()
    wait_until_gone([program])
    (tmp_path / "second.go").touch()
    deployment.wait_for(job_id, "pending")
    deployment.worker("second")
    before = deployment.wait_for(job_id, "completed")
    os.kill(paused.pid, signal.SIGCONT)
    wait_until("the result of the paused worker is refused", lambda: paused.logged("event=report_refused"))
    assert deployment.jobs.get(job_id) == before
    assert before["stdout"] == "second\n"


def test_a_killed_api_process_loses_nothing_that_was_promised(deploy: Callable[[float], Deployment]) -> None:
    deployment = deploy(LEASE_SECONDS)
    for name in ("one", "two"):
        deployment.worker(name)
    with under_load(deployment) as known:
        for _ in range(3):
            os.kill(random.choice(deployment.api.processes()), signal.SIGKILL)
            wait_until("there are two again", lambda: len(deployment.api.processes()) == 2)
            wait_for_more(known)
    for job_id in known:
        assert deployment.wait_for(job_id, "completed", seconds=60)["stdout"] == "hello\n"


def test_a_killed_redis_loses_nothing_that_was_promised(
    deploy: Callable[[float], Deployment], store: RestartableRedis
) -> None:
    deployment = deploy(LEASE_SECONDS)
    worker = deployment.worker("one")
    with under_load(deployment) as known:
        for _ in range(2):
            store.kill()
            wait_until("the API notices that Redis is away", lambda: not deployment.api.is_healthy())
            store.start()
            wait_for_more(known)
    for job_id in known:
        assert deployment.wait_for(job_id, "completed", seconds=60)["stdout"] == "hello\n"
    assert alive(worker.pid)


def test_a_running_job_survives_a_restart_of_redis(
    deploy: Callable[[float], Deployment], store: RestartableRedis, tmp_path: Path
) -> None:
    deployment = deploy(2 * LEASE_SECONDS)
    job_id = deployment.submit(TAKES_TURNS, tmp_path)
    deployment.worker("one")
    wait_for_pids(tmp_path / "first.pid", 1)
    store.kill()
    wait_until("the API notices that Redis is away", lambda: not deployment.api.is_healthy())
    store.start()
    (tmp_path / "first.go").touch()
    assert deployment.wait_for(job_id, "completed")["stdout"] == "first\n"
    assert deployment.attempts(job_id) == [("one", "completed")]


def test_a_result_is_delivered_when_the_api_is_back(deploy: Callable[[float], Deployment], tmp_path: Path) -> None:
    deployment = deploy(5 * LEASE_SECONDS)
    job_id = deployment.submit(TAKES_TURNS, tmp_path)
    deployment.worker("one")
    (program,) = wait_for_pids(tmp_path / "first.pid", 1)
    deployment.api.kill()
    (tmp_path / "first.go").touch()
    wait_until_gone([program])
    back_at = time.monotonic() + 1
    wait_until("some tries have failed", lambda: time.monotonic() > back_at)
    deployment.api.start()
    assert deployment.wait_for(job_id, "completed")["stdout"] == "first\n"
    assert deployment.attempts(job_id) == [("one", "completed")]
