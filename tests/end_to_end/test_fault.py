"""A host that cannot run a job costs neither that job nor the others an attempt."""

from __future__ import annotations

import resource

from tests.support.deployment import Deployment
from tests.support.programs import SHELL
from tests.support.waiting import wait_until

SMALL_DISK_BYTES = 100_000


def test_a_program_that_does_not_fit_on_the_disk_does_not_keep_other_jobs_from_running(deployment: Deployment) -> None:
    """A limit on the size of files stands for a small disk: to the worker both are an OSError."""
    worker = deployment.worker("one")
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES, SMALL_DISK_BYTES))
    too_large = deployment.submit(SHELL + "#" * SMALL_DISK_BYTES, priority="foreground")
    behind = [deployment.submit(SHELL) for _ in range(3)]
    for job_id in behind:
        deployment.wait_for(job_id, "completed")
    wait_until("the job is quarantined", lambda: worker.logged("event=job_quarantined"))
    assert worker.logged("event=host_fault")
    assert deployment.jobs.get(too_large)["status"] == "running"
    worker.process.terminate()
    assert worker.wait() == 0
    assert deployment.jobs.get(too_large)["status"] == "pending"
    assert deployment.attempts(too_large) == [("one", "released")] * 2


def test_a_job_that_removes_the_directories_of_its_worker_does_not_end_the_worker(deployment: Deployment) -> None:
    worker = deployment.worker("one")
    removing = deployment.submit(SHELL + 'rm -rf "$(dirname "$HOME")/.."/../jobqueue-*; echo removed')
    assert deployment.wait_for(removing, "completed")["stdout"] == "removed\n"
    assert deployment.wait_for(deployment.submit(SHELL + "echo next"), "completed")["stdout"] == "next\n"
    worker.process.terminate()
    assert worker.wait() == 0
    assert list((deployment.folder / "one.tmp").iterdir()) == []
