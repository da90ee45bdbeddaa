"""Submits, claims and completes 2,000 jobs over HTTP; prints requests per second and CPU per request.

`python -m benchmarks.throughput [JOBS]` starts a Redis-compatible server, and gunicorn with two processes, on loopback.
Two more processes send the requests, over eight connections each. Everything runs on the same machine.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from jobqueue.local import redis_server
from jobqueue.local.run import free_port

PROCESSES = 2
CONNECTIONS = 8
JOB = {
    "type": "benchmark",
    "binary_url": "http://127.0.0.1/program",
    "binary_sha256": "ab" * 32,
    "arguments": ["one", "two"],
    "env_variables": {"KEY": "value"},
    "priority": "background",
}
EXECUTOR = {"executor_id": "benchmark"}
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Request:
    """A request, and the only HTTP status that its answer may have."""

    method: str
    path: str
    body: object
    expected: int


@dataclass(frozen=True)
class Measured:
    """The cost of all requests of one kind."""

    verb: str
    answers: list[dict[str, str]]
    seconds: float
    latencies_ms: list[float]
    server_cpu_seconds: float
    redis_cpu_seconds: float

    def line(self) -> str:
        """Return a row of the table that is printed."""
        count = len(self.answers)
        return (
            f"{self.verb:<9} {count / self.seconds:>10.0f} {self.server_cpu_seconds / count * 1000:>16.2f} "
            f"{self.redis_cpu_seconds / count * 1000:>15.2f} {median(self.latencies_ms):>10.1f}"
        )


def send_all(port: int, requests: list[Request]) -> list[tuple[dict[str, str], float]]:
    """Send requests over one connection, one after another; return each answer and its latency in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answers = []
    for request in requests:
        started = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        connection.request(request.method, "/api/v1" + request.path, json.dumps(request.body), headers)
        response = connection.getresponse()
        content = response.read()
        if response.status != request.expected:
            sys.exit(f"{request.method} {request.path} answered {response.status}: {content.decode()}")
        answers.append((json.loads(content), (time.perf_counter() - started) * 1000))
    return answers


def send_in_parallel(port: int, requests: list[Request]) -> list[tuple[dict[str, str], float]]:
    """Send requests over CONNECTIONS connections at once."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = pool.map(partial(send_all, port), split(requests, CONNECTIONS))
        return [answer for part in parts for answer in part]


def split(requests: list[Request], count: int) -> list[list[Request]]:
    """Return the requests in `count` parts of nearly the same length."""
    return [requests[first::count] for first in range(count)]


class Bench:
    """A running server, and the processes that send requests to it."""

    def __init__(self, port: int, server: int, redis: int, senders: ProcessPoolExecutor) -> None:
        self._port = port
        self._server = server
        self._redis = redis
        self._senders = senders

    def measure(self, verb: str, requests: list[Request]) -> Measured:
        """Send the requests from all processes; return their cost."""
        server, redis, started = self._server_cpu(), cpu_seconds(self._redis), time.perf_counter()
        parts = list(self._senders.map(partial(send_in_parallel, self._port), split(requests, PROCESSES)))
        seconds = time.perf_counter() - started
        answers = [answer for part in parts for answer in part]
        return Measured(
            verb,
            [answer for answer, _ in answers],
            seconds,
            [latency for _, latency in answers],
            self._server_cpu() - server,
            cpu_seconds(self._redis) - redis,
        )

    def _server_cpu(self) -> float:
        return sum(cpu_seconds(pid) for pid in [self._server, *children(self._server)])


def cpu_seconds(pid: int) -> float:
    """Return the user and system CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running_server() -> Iterator[tuple[int, int, int]]:
    """Start Redis and gunicorn; yield the port of the API and the process ids of gunicorn and Redis."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder:
        socket_path = f"{folder}/redis.sock"
        options = ("--port", "0", "--unixsocket", socket_path, "--dir", folder, "--appendonly", "yes")
        port = free_port()
        variables = {**os.environ, "PORT": str(port), "REDIS_URL": f"unix://{socket_path}", "WEB_CONCURRENCY": "2"}
        redis = subprocess.Popen(redis_server.command(*options), stdout=subprocess.DEVNULL)
        gunicorn = [sys.executable, "-m", "jobqueue.web.server", "--log-level", "warning"]
        server = subprocess.Popen(gunicorn, env=variables, stderr=subprocess.DEVNULL)
        try:
            wait_until_healthy(port)
            yield port, server.pid, redis.pid
        finally:
            for process in (server, redis):
                process.terminate()
                process.wait()


def wait_until_healthy(port: int) -> None:
    """Return after so many answers that both of gunicorn's processes have most likely started."""
    deadline = time.monotonic() + 20
    healthy = 0
    while healthy < 50 * PROCESSES:
        if time.monotonic() > deadline:
            sys.exit("The server has not started within 20 seconds.")
        try:
            send_all(port, [Request("GET", "/health", None, 200)])
            healthy += 1
        except OSError:
            time.sleep(0.05)


def run(jobs: int) -> Iterable[Measured]:
    """Submit, claim and complete that many jobs; yield the cost of each step."""
    context = multiprocessing.get_context("spawn")
    with running_server() as (port, server, redis), ProcessPoolExecutor(PROCESSES, context) as senders:
        bench = Bench(port, server, redis, senders)
        bench.measure("warm-up", [Request("GET", "/health", None, 200)] * 200)
        yield bench.measure("submit", [Request("POST", "/jobs", JOB, 201)] * jobs)
        claimed = bench.measure("claim", [Request("POST", "/jobs/claim", EXECUTOR, 200)] * jobs)
        yield claimed
        result = {"stdout": "done\n", "stderr": "", "exit_code": 0}
        yield bench.measure(
            "complete",
            [
                Request(
                    "PUT",
                    f"/jobs/{job['id']}/complete",
                    {**EXECUTOR, **result, "attempt_token": job["attempt_token"]},
                    200,
                )
                for job in claimed.answers
            ],
        )


def main(jobs: int = 2000) -> None:
    """Print the table."""
    print(f"{'':<9} {'requests/s':>10} {'server CPU ms/req':>16} {'Redis CPU ms/req':>15} {'median ms':>10}")
    for measured in run(jobs):
        print(measured.line())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
