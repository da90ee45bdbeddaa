"""A thousand executors that wait for work: what they cost, and how soon one of them is woken.

Where the API does not let them wait, they poll once a second, as its documentation says.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from benchmarks.clients.requests import REFERENCE, Connection
from benchmarks.figures import percentile
from benchmarks.outcome import Effort, Group, Outcome, at_most, skipped
from benchmarks.rig.children import DidNotHappen, stop
from benchmarks.rig.deployment import Deployment, deployed
from benchmarks.rig.servers import PROCESSES

CPU_SECONDS, HEALTH_MS, WAKE_MS, CONNECTIONS = 2.5, 50, 20, 10
WAIT_SECONDS = 25
HEALTH_EVERY_SECONDS = 0.1
PROBE_SECONDS = 10.0
WAKE_PAUSE_SECONDS = (0.02, 0.08)
OWN_CONNECTIONS = 1


class Waiting:
    """The executors, in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.claimed_ns: dict[str, int] = {}
        self.sent = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Return when all of them have asked for the first time."""
        assert self._process.stdout
        if self._process.stdout.readline() != "waiting\n":
            raise DidNotHappen("the executors have ended instead of waiting")
        self._thread.start()

    def end(self) -> None:
        """End them."""
        assert self._process.stdin
        self._process.stdin.close()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            first, second = line.split()
            if first == "sent":
                self.sent = int(second)
            else:
                self.claimed_ns[second] = int(first)


@contextmanager
def waiting_executors(port: int, count: int, wait_seconds: float) -> Iterator[Waiting]:
    """Start executors."""
    command = [sys.executable, "-m", "benchmarks.clients.waiters", str(port), str(count), str(wait_seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Waiting(process)
    finally:
        stop(process)


def measure(effort: Effort, folder: Path) -> Group:
    """Let them wait, asking for /health meanwhile; then submit jobs one by one."""
    count, seconds = effort.of(1000, 50), effort.of(30, 3)
    with deployed(folder) as deployment:
        can_wait = _can_wait(deployment)
        with waiting_executors(deployment.server.port, count, WAIT_SECONDS if can_wait else 0) as executors:
            executors.start()
            before = deployment.cpu_seconds()
            health = probe_health(deployment.server.port, seconds, HEALTH_EVERY_SECONDS)
            server, redis = (end - start for start, end in zip(before, deployment.cpu_seconds(), strict=True))
            connections = len(deployment.store.client.client_list()) - OWN_CONNECTIONS
            wakes = _wakes(deployment, executors, effort.of(400, 10)) if can_wait else []
            executors.end()
    slow = percentile(health, 0.99)
    how = "waiting" if can_wait else "polling once a second (the API refuses `wait_seconds`)"
    measured = f"{server + redis:.1f} s: gunicorn {server:.1f}, Redis {redis:.1f}"
    each = math.ceil(connections / PROCESSES)
    note = (
        f"{count} executors, {how}; {len(health)} requests for /health are part of the CPU time. "
        f"/health median {percentile(health, 0.5).value:.1f} ms"
        + (f", wake-up median {percentile(wakes, 0.5).value:.1f} ms." if wakes else ".")
    )
    return Group(
        [
            at_most("1,000 waiting executors, 30 s: CPU of the server", measured, server + redis, CPU_SECONDS, " s"),
            at_most(
                "1,000 waiting executors: `/health` p99",
                f"{slow.value:.1f} ms ({slow.label})",
                slow.value,
                HEALTH_MS,
                " ms",
            ),
            _wake_outcome(wakes),
            at_most("1,000 waiting executors: Redis connections per process", str(each), each, CONNECTIONS),
        ],
        notes=[note],
    )


def _wake_outcome(wakes: list[float]) -> Outcome:
    name = "1,000 waiting executors: submit → job at one of them, p99"
    if not wakes:
        return skipped(name, f"at most {WAKE_MS} ms", "The API lets nobody wait.")
    wake = percentile(wakes, 0.99)
    return at_most(name, f"{wake.value:.1f} ms ({wake.label})", wake.value, WAKE_MS, " ms")


def _can_wait(deployment: Deployment) -> bool:
    body = json.dumps({"executor_id": "first", "wait_seconds": 0.01}).encode()
    return deployment.api.send("POST", "/jobs/claim", body).status == 204


def probe_health(port: int, seconds: float, every_seconds: float) -> list[float]:
    """Ask for /health on a new connection each time; return how long each answer took, in milliseconds.

    No answer, or another one than 200, counts as the time limit of a probe.
    """
    times, ends_at = [], time.monotonic() + seconds
    while (started := time.monotonic()) < ends_at:
        healthy = False
        with suppress(OSError, HTTPException), closing(Connection(port, PROBE_SECONDS)) as connection:
            healthy = connection.get("/health").status == HTTPStatus.OK
        times.append((time.monotonic() - started if healthy else PROBE_SECONDS) * 1000)
        time.sleep(max(0.0, every_seconds - (time.monotonic() - started)))
    return times


def _wakes(deployment: Deployment, executors: Waiting, count: int) -> list[float]:
    """Submit jobs one by one; return how long it took until an executor had each, in milliseconds."""
    body = json.dumps(REFERENCE).encode()
    sent_ns: dict[str, int] = {}
    for _ in range(count):
        now = time.monotonic_ns()
        sent_ns[deployment.api.send("POST", "/jobs", body).json()["id"]] = now
        deadline = time.monotonic() + 10
        while len(executors.claimed_ns) < len(sent_ns) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(random.uniform(*WAKE_PAUSE_SECONDS))
    missing = [job_id for job_id in sent_ns if job_id not in executors.claimed_ns]
    if missing:
        raise DidNotHappen(f"{len(missing)} of {count} jobs were not claimed within ten seconds")
    return [(executors.claimed_ns[job_id] - sent) / 1e6 for job_id, sent in sent_ns.items()]
