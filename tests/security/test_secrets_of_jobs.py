"""Canaries in a job's variables and URL: only its claim and its submitter see them, whatever becomes of the job."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from jobqueue.access.scopes import Scope
from tests.support.deployment import running_host
from tests.support.logins import administrator
from tests.support.redis_server import running_redis
from tests.support.service import Service
from tests.support.serving import Server, running_api
from tests.support.tokens import bearer, line, token
from tests.support.waiting import wait_until

CANARY = "canary5d41402abc4b2a76"
WAITING = '#!/bin/sh\necho "${#SECRET}" >&2; touch "$1.begun"; while [ ! -e "$1" ]; do sleep 0.05; done\n'
"""Proves that the program gets the variable without printing it, and runs until there is a file."""

SETTINGS = {
    "API_TOKENS": ",".join(line(scope, scope) for scope in Scope),
    "MAX_HOST_FAULTS": "1",
    "MAX_ATTEMPTS": "1",
    "WEB_CONCURRENCY": "1",
}


@dataclass
class Stage:
    """A server, a worker and the jobs that they have been given."""

    folder: Path
    api: Server
    worker: Service
    store: redis.Redis
    session: requests.Session
    jobs: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, scope: Scope, body: Any = None) -> str:
        """Return the whole answer to a request with the token of a scope."""
        answer = self.session.request(method, self.api.url + path, json=body, headers=bearer(scope), timeout=15)
        return f"{answer.status_code} {answer.headers} {answer.text}"

    def submit(self, host: str, program: str, path: str = "", **changes: Any) -> None:
        """Submit a job that is full of canaries."""
        sha256 = hashlib.sha256(program.encode()).hexdigest()
        job = {
            "type": "demo",
            "binary_url": f"{host.replace('://', f'://user:{CANARY}@')}/{path or sha256}?token={CANARY}",
            "binary_sha256": sha256,
            "env_variables": {"SECRET": CANARY},
            "priority": "background",
        }
        answer = self.api.call("POST", "/jobs", {**job, **changes}, headers=bearer(Scope.SUBMIT))
        assert answer.status_code == 201, answer.text
        self.jobs.append(answer.json()["id"])

    def job(self, number: int, scope: Scope = Scope.SUBMIT) -> dict[str, Any]:
        """Return a job as a caller sees it."""
        job: dict[str, Any] = self.api.call("GET", f"/jobs/{self.jobs[number]}", headers=bearer(scope)).json()
        return job

    def has_ended(self, number: int) -> bool:
        """Whether a job has ended."""
        return self.job(number)["status"] in ("completed", "failed")

    def answers_about_jobs(self, scope: Scope) -> Iterator[tuple[str, str]]:
        """Yield what is answered about each of the jobs."""
        for job_id in self.jobs:
            for path in ("", "/output", "/output?stream=stderr"):
                yield f"{job_id}{path}", self.call("GET", f"/jobs/{job_id}{path}", scope)
        yield "list", self.call("GET", "/jobs", scope)

    def every_answer(self, scope: Scope) -> Iterator[tuple[str, str]]:
        """Yield what every route answers to every method, for two jobs."""
        paths: dict[str, Any] = self.api.call("GET", "/openapi.json").json()["paths"]
        for path in (path.removeprefix("/api/v1") for path in paths):
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                for job_id in self.jobs[:2] if "{job_id}" in path else [""]:
                    filled = path.replace("{job_id}", job_id)
                    yield f"{method} {filled}", self.call(method, filled, scope, {} if method != "GET" else None)


@pytest.fixture(params=["logfmt", "json"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A server and a worker that both log in one format."""
    form = {"LOG_FORMAT": request.param}
    with (
        tempfile.TemporaryDirectory(prefix="jq-") as name,
        running_redis(Path(name)) as url,
        running_api(tmp_path, REDIS_URL=url, **SETTINGS, **form) as api,
        administrator(url) as store,
        requests.Session() as session,
    ):
        mine = {
            "EXECUTOR_ID": "worker",
            "SLOTS": "1",
            "DOWNLOAD_RETRY_SECONDS": "0",
            "API_URL": api.url,
            "API_TOKEN": token(Scope.EXECUTE),
        }
        directories = {"CACHE_DIR": str(tmp_path / "cache"), "SPOOL_DIR": str(tmp_path / "spool")}
        worker = Service.start(["worker.py"], tmp_path, "worker", mine | directories | form)
        try:
            yield Stage(tmp_path, api, worker, store, session)
        finally:
            worker.kill_whole()


def test_only_the_claim_and_the_submitter_see_the_secrets_of_a_job(stage: Stage) -> None:
    go = stage.folder / "go"
    with running_host() as (host, programs):
        programs.update({f"/{hashlib.sha256(WAITING.encode()).hexdigest()}?token={CANARY}": WAITING.encode()})
        programs.update({f"/other?token={CANARY}": b"#!/bin/sh\n"})
        programs.update({f"/data?token={CANARY}": b"\0\1\2"})
        stage.submit(host.url, WAITING, arguments=[str(go)])
        wait_until("the program runs", (stage.folder / "go.begun").exists)
        stage.submit(host.url, "nothing", "nowhere")
        stage.submit(host.url, "another", "other")
        stage.submit(host.url, "\0\1\2", "data")
        stage.submit("http://127.0.0.1:1", "unreachable")
        assert CANARY not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        answers = dict(stage.answers_about_jobs(Scope.READ))
        go.touch()
        for number in range(4):
            wait_until(f"job {number} has ended", partial(stage.has_ended, number), 20)
    answers |= {f"{name}, ended": answer for name, answer in stage.answers_about_jobs(Scope.READ)}
    answers |= dict(stage.every_answer(Scope.READ))
    assert [name for name, answer in answers.items() if CANARY in answer] == []
    assert stage.job(0)["stderr"] == f"{len(CANARY)}\n"
    assert [stage.job(number)["env_variables"] for number in range(5)] == [{"SECRET": CANARY}] * 5
    assert "***" in stage.call("GET", f"/jobs/{stage.jobs[0]}", Scope.READ)
    make_the_server_crash(stage)
    assert CANARY not in stage.call("GET", "/metrics", Scope.ADMIN)
    stage.worker.process.terminate()
    assert stage.worker.wait() == 0
    assert files_with_a_canary(stage.folder) == []


def make_the_server_crash(stage: Stage) -> None:
    """Have the server log a traceback while it works on a secret."""
    stage.store.set("{jobqueue}:sequence", "no number")
    job = {**stage.job(0), "env_variables": {"SECRET": CANARY}}
    fields = ("type", "binary_url", "binary_sha256", "priority", "env_variables")
    answer = stage.call("POST", "/jobs", Scope.SUBMIT, {name: job[name] for name in fields})
    assert answer.startswith("500 ")
    assert CANARY not in answer
    assert "Traceback" in stage.api.log


def files_with_a_canary(folder: Path) -> list[Path]:
    """Return the files, logs among them, that hold the canary."""
    assert (folder / "api.log").stat().st_size
    assert (folder / "worker.log").stat().st_size
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if CANARY.encode() in path.read_bytes()]
