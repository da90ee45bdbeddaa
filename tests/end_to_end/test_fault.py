"""A host that cannot run a job costs neither that job nor the others an attempt."""

from __future__ import annotations

import resource
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from jobqueue.local.run import free_port
from tests.support.deployment import Deployment
from tests.support.fake_server import FakeServer, Reply, Request, nobody
from tests.support.paths import PATH
from tests.support.programs import SHELL
from tests.support.waiting import wait_until

SMALL_DISK_BYTES = 100_000
JOBS = 60
BROKEN_ANSWERS = 2


def first_released(deployment: Deployment, job_id: str) -> dict[str, Any]:
    """Return the first attempt at a job, as soon as it is released."""
    found: list[dict[str, Any]] = []

    def is_released() -> bool:
        found[:] = [each for each in deployment.jobs.get(job_id)["attempts"] if each["status"] == "released"]
        return bool(found)

    wait_until("the job is released", is_released)
    return found[0]


def test_a_program_that_does_not_fit_on_the_disk_does_not_keep_other_jobs_from_running(deployment: Deployment) -> None:
    """A limit on the size of files stands for a small disk: to the worker both are an OSError."""
    worker = deployment.worker("one")
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES, SMALL_DISK_BYTES))
    too_large = deployment.submit(SHELL + "#" * SMALL_DISK_BYTES, priority="foreground")
    behind = [deployment.submit(SHELL) for _ in range(3)]
    for job_id in behind:
        deployment.wait_for(job_id, "completed")
    assert worker.logged("event=host_fault")
    attempt = first_released(deployment, too_large)
    assert attempt["reason"] == "host_fault"
    assert attempt["error_message"] == "this host could not run it: File too large"
    assert deployment.jobs.get(too_large)["status"] == "pending"


def test_jobs_that_one_host_cannot_run_are_run_by_another(deployment: Deployment, tmp_path: Path) -> None:
    """One host lacks an interpreter, and may not download from the other name of the server."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "special-sh").symlink_to("/bin/sh")
    program = "#!/usr/bin/env special-sh\necho ran"
    jobs = [deployment.job(program) if number % 2 else deployment.job(SHELL + "echo ran") for number in range(JOBS)]
    for job in jobs[::2]:
        job["binary_url"] = job["binary_url"].replace("127.0.0.1", "localhost")
    ids = [deployment.jobs.submit(job) for job in jobs]
    bad = deployment.worker("bad", ALLOWED_BINARY_HOSTS="127.0.0.1", CACHE_DIR=str(tmp_path / "bad-cache"), SLOTS="4")
    wait_until("the bad host pauses", lambda: bad.logged("event=worker_paused"))
    deployment.worker("good", PATH=f"{PATH}:{tools}", SLOTS="2")
    ended = [deployment.wait_for(job_id, "completed", "failed", seconds=60) for job_id in ids]
    assert [job["stdout"] for job in ended] == ["ran\n"] * JOBS
    attempts = [(each["executor_id"], each["status"], each["reason"]) for job in ended for each in job["attempts"]]
    not_begun = ("bad", "released", None)  # claimed ahead, and released when the host began to pause
    by_bad = Counter(each[1:] for each in attempts if each[0] == "bad" and each != not_begun)
    assert by_bad.keys() == {("released", "blocked_by_policy"), ("released", "exec_failed")}
    assert by_bad.total() <= 8  # of 60: the breaker slows it down


def test_a_server_of_programs_that_is_away_for_a_moment_costs_no_attempt(deployment: Deployment) -> None:
    port = free_port()
    jobs = [deployment.job(SHELL + f"echo {number}") for number in range(5)]
    for job in jobs:
        job["binary_url"] = job["binary_url"].replace(deployment.host.url, f"http://127.0.0.1:{port}")
    ids = [deployment.jobs.submit(job) for job in jobs]
    worker = deployment.worker("one", SLOTS="5")
    wait_until("nobody gets a program", lambda: worker.log.read_text().count("event=download_retried") == len(jobs))
    requests: Counter[str] = Counter()

    def answer(request: Request) -> Reply:
        requests[request.path] += 1
        if requests[request.path] <= BROKEN_ANSWERS:
            raise ConnectionAbortedError  # the connection ends without an answer
        return Reply(body=deployment.programs[request.path])

    with closing(FakeServer(answer, port)) as server:
        server.start()
        for number, job_id in enumerate(ids):
            assert deployment.wait_for(job_id, "completed", "failed")["stdout"] == f"{number}\n"
            assert deployment.attempts(job_id) == [("one", "completed")]


def test_a_job_whose_server_stays_away_delays_no_other_slot_and_shows_why_it_waits(deployment: Deployment) -> None:
    with nobody() as url:
        job = deployment.job(SHELL)
        lost = deployment.jobs.submit({**job, "binary_url": f"{url.replace('//', '//user:canary@')}/x?canary"})
        worker = deployment.worker("one", SLOTS="2", DOWNLOAD_RETRY_SECONDS="1")
        wait_until("a download waits", lambda: worker.logged("event=download_retried"))
        other = deployment.submit(SHELL + "echo ran")
        assert deployment.wait_for(other, "completed")["stdout"] == "ran\n"
        assert deployment.attempts(lost) == [("one", "running")]
        attempt = first_released(deployment, lost)
    assert attempt["reason"] == "download_failed"
    assert attempt["error_message"].endswith(f"({url}/x)")
    assert worker.logged(f"download failed: Connection refused ({url}/x)")
    assert not worker.logged("canary")


def test_a_download_that_waits_does_not_delay_the_end_of_its_worker(deployment: Deployment) -> None:
    with nobody() as url:
        waiting = deployment.jobs.submit({**deployment.job(SHELL), "binary_url": url})
        worker = deployment.worker("one")
        wait_until("the download waits", lambda: worker.logged("event=download_retried"))
        begun = time.monotonic()
        worker.process.terminate()
        assert worker.wait() == 0
        assert time.monotonic() - begun < 10  # DRAIN_SECONDS is 18
    assert deployment.jobs.get(waiting)["attempts"][0]["reason"] == "worker_shutdown"


def test_a_job_that_removes_the_directories_of_its_worker_does_not_end_the_worker(deployment: Deployment) -> None:
    worker = deployment.worker("one")
    removing = deployment.submit(SHELL + 'rm -rf "$(dirname "$HOME")/.."/../jobqueue-*; echo removed')
    assert deployment.wait_for(removing, "completed")["stdout"] == "removed\n"
    assert deployment.wait_for(deployment.submit(SHELL + "echo next"), "completed")["stdout"] == "next\n"
    worker.process.terminate()
    assert worker.wait() == 0
    assert list((deployment.folder / "one.tmp").iterdir()) == []
