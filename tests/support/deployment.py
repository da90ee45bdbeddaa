"""The whole queue as people run it: gunicorn in front of Redis, workers, and a host for their programs.

Everything is a process of its own, started as the Procfile says and stopped by its process id.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.ports import free_port
from tests.support.processes import children, family
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATH = "/usr/local/bin:/usr/bin:/bin"
LEASE_SECONDS = 2.0


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process, as a platform does that stops a machine, except those that have ended by then.

    The first ones may take others along before it is their turn: a shell ends with its child, a supervisor with its
    worker. All are opened before the first is signalled, so that an id that is used again meanwhile cannot be hit.
    """
    with ExitStack() as stack:
        opened = []
        for pid in pids:
            with suppress(ProcessLookupError):
                opened.append(os.pidfd_open(pid))
                stack.callback(os.close, opened[-1])
        for pidfd in opened:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)


def run_worker(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run worker.py to its end, with nothing in its environment but PATH and `variables`."""
    command = [sys.executable, "worker.py", *options]
    environment = {"PATH": PATH, **variables}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def own_directories(folder: Path) -> dict[str, str]:
    """Return the settings for directories of a worker that shares none with others."""
    return {"CACHE_DIR": str(folder / "cache"), "SPOOL_DIR": str(folder / "spool"), "TMPDIR": str(folder)}


@dataclass
class Service:
    """A running process of the project, and the file that it logs to."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, command: list[str], folder: Path, name: str, variables: Mapping[str, str]) -> Service:
        """Start it in the project's folder with nothing in its environment but `variables`, PATH and TMPDIR."""
        log = folder / f"{name}.log"
        temporary = folder / f"{name}.tmp"
        temporary.mkdir(exist_ok=True)
        environment = {"PATH": PATH, "TMPDIR": str(temporary), **variables}
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def logged(self, text: str) -> bool:
        """Whether the log contains that text."""
        return text in self.log.read_text(errors="replace")

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(20)

    def kill(self) -> None:
        """Kill this process alone."""
        self.process.kill()
        self.process.wait()

    def kill_whole(self) -> None:
        """Kill it and all its descendants."""
        signal_all(family(self.pid), signal.SIGKILL)
        self.process.wait()


@dataclass
class Api:
    """The API on a port of its own; it can be killed and started again."""

    folder: Path
    variables: Mapping[str, str]
    port: int = field(default_factory=free_port)
    service: Service | None = None

    @property
    def url(self) -> str:
        """The URL for the setting API_URL."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def start(self) -> None:
        """Start it; returns when it is healthy."""
        variables = {"PORT": str(self.port), **self.variables}
        self.service = Service.start(["-m", "gunicorn", "app:app"], self.folder, "api", variables)
        wait_until("the API is healthy", self.healthy)

    def healthy(self) -> bool:
        """Whether it answers that it is healthy."""
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """Kill all of its processes."""
        if self.service:
            self.service.kill_whole()

    def processes(self) -> list[int]:
        """Return the process ids of gunicorn's workers, which answer the requests."""
        return children(self.service.pid) if self.service else []


@dataclass
class Deployment:
    """Everything for one test. The workers that it starts are killed at its end."""

    folder: Path
    api: Api
    jobs: Jobs
    host: FakeServer
    programs: dict[str, bytes]
    workers: list[Service] = field(default_factory=list)

    def submit(
        self, program: str, *arguments: object, priority: str = "background", environment: dict[str, str] | None = None
    ) -> str:
        """Submit a job that runs this program; return its id."""
        return self.jobs.submit(self.job(program, *arguments, priority=priority, environment=environment))

    def job(
        self, program: str, *arguments: object, priority: str = "background", environment: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return a job to submit."""
        sha256 = hashlib.sha256(program.encode()).hexdigest()
        self.programs[f"/{sha256}"] = program.encode()
        return {
            "type": "demo",
            "binary_url": f"{self.host.url}/{sha256}",
            "binary_sha256": sha256,
            "arguments": [str(argument) for argument in arguments],
            "env_variables": environment or {},
            "priority": priority,
        }

    def worker(self, name: str = "worker", *options: str, **variables: str) -> Service:
        """Start a worker, with one slot unless `variables` say otherwise; returns when it is about to claim."""
        self.folder.mkdir(exist_ok=True)
        directories = {"CACHE_DIR": str(self.folder / "cache"), "SPOOL_DIR": str(self.folder / "spool")}
        settings = {"API_URL": self.api.url, "EXECUTOR_ID": name, "SLOTS": "1", **directories, **variables}
        service = Service.start(["worker.py", *options], self.folder, name, settings)
        self.workers.append(service)
        wait_until(f"{name} has started", lambda: service.logged("event=worker_started"))
        return service

    def wait_for(self, job_id: str, *statuses: str, seconds: float = 20) -> dict[str, Any]:
        """Return the job as soon as it has one of these statuses; the API may be away meanwhile."""
        answers: list[dict[str, Any]] = []

        def has_status() -> bool:
            with suppress(ApiUnavailable):
                answers.append(self.jobs.get(job_id))
            return bool(answers) and answers[-1]["status"] in statuses

        wait_until(f"{job_id} is {statuses}", has_status, seconds)
        return answers[-1]

    def attempts(self, job_id: str) -> list[tuple[str, str]]:
        """Return the executor and the status of each attempt."""
        return [(each["executor_id"], each["status"]) for each in self.jobs.get(job_id)["attempts"]]


@contextmanager
def running_host() -> Iterator[tuple[FakeServer, dict[str, bytes]]]:
    """A host for programs; yields it and the programs by path, which tests add to."""
    programs: dict[str, bytes] = {}

    def answer(request: Request) -> Reply:
        program = programs.get(request.path)
        return Reply(404) if program is None else Reply(body=program)

    with serving(answer) as host:
        yield host, programs


@contextmanager
def running_api(folder: Path, redis_url: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[Api]:
    """An API that is killed at the end."""
    api = Api(folder, {"REDIS_URL": redis_url, "HEARTBEAT_TIMEOUT_SECONDS": str(lease_seconds)})
    try:
        api.start()
        yield api
    finally:
        api.kill()


@contextmanager
def deployed(api: Api, host: FakeServer, programs: dict[str, bytes], folder: Path) -> Iterator[Deployment]:
    """What a test works with; the workers are killed at the end."""
    with closing(Transport(api.url)) as transport:
        deployment = Deployment(folder, api, Jobs(transport), host, programs)
        try:
            yield deployment
        finally:
            for worker in deployment.workers:
                worker.kill_whole()
