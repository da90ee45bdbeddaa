"""Whatever a program does, it ends when it must, leaves nothing behind, and learns nothing about its worker."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from jobqueue.output import OUTPUT_LIMIT_BYTES
from tests.support.deployment import LEASE_SECONDS, Deployment
from tests.support.processes import alive, children, environment, signal_all, state, wait_for_pids, wait_until_gone
from tests.support.programs import FOREVER, PYTHON, SHELL, SUSPENDS_ITSELF, WITH_ORPHANS
from tests.support.service import Service
from tests.support.waiting import wait_until

SPY = (
    PYTHON
    + """
import json, os
found = {"environ": [], "mem": [], "fd": []}
pid = os.getppid()
while pid > 1:
    for name, look in {
        "environ": lambda: open(f"/proc/{pid}/environ", "rb").read(),
        "mem": lambda: open(f"/proc/{pid}/mem", "rb"),
        "fd": lambda: os.readlink(f"/proc/{pid}/fd/0"),
    }.items():
        try:
            look()
            found[name].append(pid)
        except OSError:
            pass
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
print(json.dumps(found))
"""
)
"""Prints which of its ancestors a program can look into."""

WATCH = (
    PYTHON
    + """
import os, sys
found = set()
while not os.path.exists(sys.argv[1]):
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as file:
                if b"CANARY" in file.read(65536):
                    with open(f"/proc/{name}/cmdline") as command:
                        found.add(command.read())
        except OSError:
            pass
    if not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "x").close()
print(sorted(found))
"""
)
"""Reads every environment that it can until there is a file, and prints the command lines of those with a canary."""

LOCKED = SHELL + "mkdir $(seq 500); chmod 000 *; chmod 000 ."

WITHOUT_CAPABILITIES = """
import os, sys
from jobqueue.worker.host import hardening
hardening.renounce()
hardening.drop_capabilities()
os.execv(sys.executable, [sys.executable, "worker.py"])
"""
"""Starts a worker for which the modes of files count, even if the tests are run by root."""

SPOIL = (
    PYTHON
    + """
import os, sys
print("as it was")
for folder, _, names in os.walk(sys.argv[1]):
    for path in (os.path.join(folder, name) for name in names):
        os.chmod(path, 0o700)
        with open(path, "r+b") as file:
            file.write(b"#!/bin/echo spoilt\\n")
"""
)
"""Writes into every file below a folder, and into its own."""


def force_cancel(deployment: Deployment, job_id: str) -> requests.Response:
    return requests.delete(f"{deployment.api.url}/jobs/{job_id}?force=true", timeout=5)


def test_a_job_that_daemonizes_leaves_no_process(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(WITH_ORPHANS, tmp_path / "pids", "0")
    deployment.worker()
    assert deployment.wait_for(job_id, "completed")["exit_code"] == 0
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 5)))


def test_a_job_ends_with_its_leader_even_when_another_process_holds_its_output(
    deployment: Deployment, tmp_path: Path
) -> None:
    job_id = deployment.submit(SHELL + "echo said; (echo $$ >> $1; exec setsid sleep 600) & exit 3", tmp_path / "pids")
    deployment.worker()
    job = deployment.wait_for(job_id, "failed", seconds=10)
    assert (job["exit_code"], job["stdout"], job["reason"]) == (3, "said\n", "exited")


@pytest.mark.parametrize(("program", "letter"), [(FOREVER, "S"), (SUSPENDS_ITSELF, "T")])
def test_a_running_job_can_be_cancelled_whatever_it_ignores(
    deployment: Deployment, tmp_path: Path, program: str, letter: str
) -> None:
    job_id = deployment.submit(program, tmp_path / "pids")
    deployment.worker("one", KILL_GRACE_SECONDS="0.3")
    (pid,) = wait_for_pids(tmp_path / "pids", 1)
    wait_until(f"the program is in state {letter}", lambda: state(pid) == letter)
    answer = force_cancel(deployment, job_id)
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    job = deployment.wait_for(job_id, "cancelled")
    assert (job["reason"], job["cancel_requested"]) == ("cancelled", True)
    assert deployment.attempts(job_id) == [("one", "cancelled")]
    assert not alive(pid)


def test_a_job_to_be_cancelled_whose_worker_dies_is_cancelled_and_not_run_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    job_id = deployment.submit(FOREVER, tmp_path / "pids")
    worker = deployment.worker("one")
    pids = wait_for_pids(tmp_path / "pids", 1)
    worker.kill()
    wait_until_gone(pids)
    assert force_cancel(deployment, job_id).status_code == 202
    deployment.worker("two")
    assert deployment.wait_for(job_id, "cancelled", "completed")["status"] == "cancelled"
    assert deployment.attempts(job_id) == [("one", "lost")]


def test_a_job_that_runs_for_too_long_is_stopped_with_all_it_started(deployment: Deployment, tmp_path: Path) -> None:
    job = deployment.job(WITH_ORPHANS, tmp_path / "pids", "600")
    job_id = deployment.jobs.submit({**job, "timeout_seconds": 1})
    deployment.worker()
    ended = deployment.wait_for(job_id, "failed")
    assert (ended["reason"], ended["signal"]) == ("timeout", "SIGTERM")
    assert not any(map(alive, wait_for_pids(tmp_path / "pids", 5)))


def test_a_killed_supervisor_takes_its_own_job_along_and_no_other(deployment: Deployment, tmp_path: Path) -> None:
    doomed = deployment.submit(WITH_ORPHANS, tmp_path / "doomed", "600")
    worker = deployment.worker("one", SLOTS="2")
    pids = wait_for_pids(tmp_path / "doomed", 5)
    spared = deployment.submit(WITH_ORPHANS, tmp_path / "spared", "600")
    others = wait_for_pids(tmp_path / "spared", 5)
    supervisor = next(each for each in children(worker.pid) if set(children(each)) & set(pids))
    os.kill(supervisor, signal.SIGKILL)
    wait_until_gone(pids, 1)
    assert all(map(alive, others))
    assert deployment.jobs.get(spared)["status"] == "running"
    wait_for_pids(tmp_path / "doomed", 10)  # the job runs again
    assert deployment.attempts(doomed)[0] == ("one", "lost")
    assert alive(worker.pid)


def test_no_process_of_a_job_is_alive_a_second_after_its_worker_was_killed(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.submit(WITH_ORPHANS, tmp_path / "pids", "600")
    worker = deployment.worker()
    pids = wait_for_pids(tmp_path / "pids", 5)
    supervisors = children(worker.pid)
    worker.kill()
    wait_until_gone([*pids, *supervisors], 1)


def test_the_next_worker_sweeps_what_a_killed_worker_left(deployment: Deployment, tmp_path: Path) -> None:
    """Worker and supervisors are killed at once, so that nobody is there to clean up."""
    deployment.submit(WITH_ORPHANS, tmp_path / "pids", "600")
    worker = deployment.worker("one")
    pids = wait_for_pids(tmp_path / "pids", 5)
    signal_all([worker.pid, *children(worker.pid)], signal.SIGKILL)
    worker.process.wait()
    temporary = tmp_path / "one.tmp"
    assert list(temporary.iterdir())
    second = deployment.worker("two", "--burst", TMPDIR=str(temporary))
    wait_until_gone(pids)
    second.process.terminate()
    assert second.wait() == 0
    assert list(temporary.iterdir()) == []


def test_a_job_cannot_look_into_its_worker(deployment: Deployment) -> None:
    job_id = deployment.submit(SPY)
    worker = deployment.worker(CANARY="secret")
    job = deployment.wait_for(job_id, "completed")
    assert environment(worker.pid)["CANARY"] == "secret"
    open_to_it: dict[str, list[int]] = json.loads(job["stdout"])
    ours = {worker.pid, *children(worker.pid)}
    assert len(ours) == 2
    assert not any(ours & set(seen) for seen in open_to_it.values())


def test_a_job_never_sees_the_environment_of_the_processes_that_clean_up(
    deployment: Deployment, tmp_path: Path
) -> None:
    settings = {"API_URL": deployment.api.url, "EXECUTOR_ID": "one", "SLOTS": "2", "CANARY": "secret"}
    directories = {"CACHE_DIR": str(tmp_path / "cache"), "SPOOL_DIR": str(tmp_path / "spool")}
    worker = Service.start(["-c", WITHOUT_CAPABILITIES], tmp_path, "one", settings | directories)
    deployment.workers.append(worker)
    watching = deployment.submit(WATCH, tmp_path / "go", tmp_path / "ready")
    wait_until("the job watches", (tmp_path / "ready").exists)
    deployment.wait_for(deployment.submit(LOCKED), "completed")
    (tmp_path / "go").touch()
    assert deployment.wait_for(watching, "completed")["stdout"] == "[]\n"
    assert not worker.logged("event=workspace_left")


def test_a_job_that_overwrites_the_cache_harms_no_other_job(deployment: Deployment, tmp_path: Path) -> None:
    jobs = [deployment.submit(SPOIL, tmp_path / "cache") for _ in range(3)]
    deployment.worker()
    for job_id in jobs:
        assert deployment.wait_for(job_id, "completed", "failed")["stdout"] == "as it was\n"


def test_directories_that_a_job_made_unreadable_are_removed(deployment: Deployment, tmp_path: Path) -> None:
    job_id = deployment.submit(SHELL + "mkdir -p a/b; touch a/b/file; chmod 000 a/b a .")
    worker = deployment.worker("one")
    deployment.wait_for(job_id, "completed")
    end(worker)
    assert list((tmp_path / "one.tmp").iterdir()) == []


def test_a_hundred_daemons_that_go_on_starting_others_end_with_their_job(deployment: Deployment) -> None:
    daemon = "while true; do sleep 0.1 & wait; done"
    many = SHELL + f"for n in $(seq 100); do setsid sh -c '{daemon}' & done; exec sleep 600"
    job_id = deployment.jobs.submit({**deployment.job(many), "timeout_seconds": 1})
    worker = deployment.worker("one", KILL_GRACE_SECONDS="0.2")
    assert deployment.wait_for(job_id, "failed", seconds=40)["reason"] == "timeout"
    (supervisor,) = children(worker.pid)
    wait_until("no process of the job is left", lambda: children(supervisor) == [])


def test_two_workers_share_one_cache(deployment: Deployment) -> None:
    for name in ("one", "two"):
        deployment.worker(name, SLOTS="3")
    jobs = [deployment.submit(SHELL + "sleep 1") for _ in range(12)]
    for job_id in jobs:
        deployment.wait_for(job_id, "completed")
    executors = {name for job_id in jobs for name, _ in deployment.attempts(job_id)}
    assert executors == {"one", "two"}
    assert len(deployment.host.requests) == 1


def test_heartbeats_keep_their_time_while_slots_stream_gigabytes(deploy: Callable[[float], Deployment]) -> None:
    """The lease is so short that late heartbeats lose it, and long enough for a busy machine."""
    lease_seconds = 2.5 * LEASE_SECONDS
    deployment = deploy(lease_seconds)
    stream = SHELL + f"timeout {1.2 * lease_seconds} cat /dev/zero; test $? -eq 124"
    jobs = [deployment.submit(stream) for _ in range(4)]
    deployment.worker("one", SLOTS="4")
    for job_id in jobs:
        job = deployment.wait_for(job_id, "completed")
        assert job["stdout_bytes"] > 100 * OUTPUT_LIMIT_BYTES
        assert deployment.attempts(job_id) == [("one", "completed")]


def test_the_output_of_a_running_job_can_be_followed(deployment: Deployment, tmp_path: Path) -> None:
    talk = SHELL + 'echo one; while [ ! -e "$1" ]; do sleep 0.05; done; echo two'
    job_id = deployment.submit(talk, tmp_path / "go")
    deployment.worker()

    def from_offset(offset: int) -> Any:
        parameters: dict[str, str | int] = {"stream": "stdout", "offset": offset}
        return requests.get(f"{deployment.api.url}/jobs/{job_id}/output", parameters, timeout=5).json()

    wait_until("the first line is there", lambda: from_offset(0)["data"] == "one\n")
    begun = from_offset(0)
    assert (begun["next_offset"], begun["ended"]) == (4, False)
    (tmp_path / "go").touch()
    wait_until("the job has ended", lambda: from_offset(4)["ended"])
    assert from_offset(4)["data"] == "two\n"


def end(worker: Service) -> None:
    worker.process.terminate()
    assert worker.wait() == 0
