"""The whole queue as people run it: gunicorn in front of Redis, workers, and a host for their programs.

Everything is a process of its own, started as the Procfile says and stopped by its process id.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobqueue.client.jobs import Jobs
from jobqueue.client.transport import ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.paths import PATH, ROOT
from tests.support.service import Service
from tests.support.serving import Server
from tests.support.waiting import TIME_LIMIT_SECONDS, wait_until

LEASE_SECONDS = 3.0


def run_worker(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run worker.py to its end, with nothing in its environment but PATH and `variables`."""
    command = [sys.executable, "worker.py", *options]
    environment = {"PATH": PATH, **variables}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def own_directories(folder: Path) -> dict[str, str]:
    """Return the settings for directories of a worker that shares none with others."""
    return {"CACHE_DIR": str(folder / "cache"), "SPOOL_DIR": str(folder / "spool"), "TMPDIR": str(folder)}


@dataclass
class Deployment:
    """Everything for one test. The workers that it starts are killed at its end."""

    folder: Path
    api: Server
    jobs: Jobs
    host: FakeServer
    programs: dict[str, bytes]
    workers: list[Service] = field(default_factory=list)
    worker_code: Path = ROOT
    """The project's folder, or one with another version of the project."""

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
        service = Service.start(["worker.py", *options], self.folder, name, settings, self.worker_code)
        self.workers.append(service)
        wait_until(f"{name} has started", lambda: service.logged("event=worker_started"))
        return service

    def wait_for(self, job_id: str, *statuses: str, seconds: float = TIME_LIMIT_SECONDS) -> dict[str, Any]:
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
def deployed(api: Server, host: FakeServer, programs: dict[str, bytes], folder: Path) -> Iterator[Deployment]:
    """What a test works with; the workers are killed at the end."""
    with closing(Transport(api.url)) as transport:
        deployment = Deployment(folder, api, Jobs(transport), host, programs)
        try:
            yield deployment
        finally:
            for worker in deployment.workers:
                worker.kill_whole()
