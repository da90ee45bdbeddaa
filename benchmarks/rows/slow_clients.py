"""Clients that send half a request or read slowly: whether the others are served, and leases of ten seconds survive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from benchmarks.outcome import Effort, Group, Outcome, at_most
from benchmarks.rig.children import DidNotHappen, stop, wait_until
from benchmarks.rig.deployment import Deployment, deployed
from benchmarks.rig.programs import SLEEP
from benchmarks.rig.worker import running_worker
from benchmarks.rows.waiting import probe_health

HEADS, BODIES, READERS = 236, 64, 50
HEALTH_MS = 100
LEASE_SECONDS = 10
SLOTS = 2
OUTPUT = "x" * (1 << 20)


def measure(effort: Effort, folder: Path) -> Group:
    """Run two jobs that outlive their leases twice, beside those clients; ask for /health meanwhile."""
    seconds = effort.of(25, 2)
    settings = {"HEARTBEAT_TIMEOUT_SECONDS": str(LEASE_SECONDS)}
    with deployed(folder, settings) as deployment:
        large = large_job(deployment)
        jobs = [deployment.host.job(SLEEP, str(seconds + index / 10)) for index in range(SLOTS)]
        with running_worker(deployment.server, folder, SLOTS):
            ids = [deployment.api.call("POST", "/jobs", job)["id"] for job in jobs]
            wait_until("the jobs run", lambda: all(_status(deployment, job_id) == "running" for job_id in ids))
            with slow_clients(deployment.server.port, large):
                health = probe_health(deployment.server.port, seconds, 0.05)
                ends = [f"{each} of {len(ids)}" for each in [_kept(deployment, ids)]]
    slow = percentile(health, 0.99)
    return Group(
        [
            at_most(
                "300 half requests, 50 slow readers: `/health` p99",
                f"{slow.value:.1f} ms ({slow.label})",
                slow.value,
                HEALTH_MS,
                " ms",
            ),
            Outcome(
                "300 half requests, 50 slow readers: leases of 10 s that were kept",
                ends[0],
                "all",
                ends[0] == f"{SLOTS} of {SLOTS}",
                share=None,
            ),
        ],
        notes=[f"/health beside slow clients: median {percentile(health, 0.5).value:.1f} ms."],
    )


def large_job(deployment: Deployment) -> str:
    """Return the id of a job that has ended with a megabyte of output on both streams."""
    deployment.api.call("POST", "/jobs", deployment.host.job(SLEEP, "0"))
    holder = {"executor_id": "benchmark"}
    job: dict[str, Any] = deployment.api.call("POST", "/jobs/claim", holder)
    result = {"attempt_token": job["attempt_token"], "exit_code": 0, "stdout": OUTPUT, "stderr": OUTPUT}
    deployment.api.call("PUT", f"/jobs/{job['id']}/complete", holder | result)
    return str(job["id"])


@contextmanager
def slow_clients(port: int, large_job_id: str) -> Iterator[None]:
    """Start the clients."""
    counts = [str(count) for count in (HEADS, BODIES, READERS)]
    command = [sys.executable, "-m", "benchmarks.clients.slow_clients", str(port), large_job_id, *counts]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise DidNotHappen("the slow clients have ended")
        yield
    finally:
        stop(process)


def _kept(deployment: Deployment, ids: list[str]) -> int:
    """Return how many of the jobs completed in their first attempt."""
    wait_until("the jobs have ended", lambda: all(_status(deployment, each) != "running" for each in ids))
    found = [deployment.api.call("GET", f"/jobs/{job_id}") for job_id in ids]
    return sum(each["status"] == "completed" and len(each["attempts"]) == 1 for each in found)


def _status(deployment: Deployment, job_id: str) -> str:
    return str(deployment.api.call("GET", f"/jobs/{job_id}")["status"])
