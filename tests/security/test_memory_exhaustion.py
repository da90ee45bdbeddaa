"""A client fills the memory of Redis with jobs: it is refused in time, and the workers go on with what there is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.deployment import Deployment, deployed, running_host
from tests.support.logins import administrator
from tests.support.programs import SHELL
from tests.support.redis_server import running_redis
from tests.support.serving import running_api
from tests.support.waiting import wait_until

ROOM_BYTES = 8 * 2**20
MOST_PENDING = 20
WAITS = SHELL + 'touch "$1.begun"; while [ ! -e "$1" ]; do sleep 0.02; done; head -c 2000000 /dev/zero; exit 3'


@pytest.fixture
def server_url() -> Iterator[str]:
    """A Redis of its own, which is about to be full."""
    with tempfile.TemporaryDirectory(prefix="jq-") as folder, running_redis(Path(folder)) as url:
        yield url


@pytest.fixture
def deployment(server_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on that Redis, with a limit of pending jobs."""
    settings = {"REDIS_URL": server_url, "MAX_PENDING_JOBS": str(MOST_PENDING), "WEB_CONCURRENCY": "1"}
    with (
        running_api(tmp_path, **settings) as api,
        running_host() as (host, programs),
        deployed(api, host, programs, tmp_path) as everything,
    ):
        yield everything


def fill(deployment: Deployment, job: dict[str, Any]) -> tuple[list[str], requests.Response]:
    """Submit a job again and again until it is refused; return the ids of the jobs, and the refusal."""
    job_ids: list[str] = []
    for _ in range(MOST_PENDING + 1):
        answer = deployment.api.call("POST", "/jobs", job)
        if answer.status_code != 201:
            return job_ids, answer
        job_ids.append(answer.json()["id"])
    raise AssertionError("nothing was refused")


def test_submitting_is_refused_before_the_memory_is_full_and_workers_go_on(
    deployment: Deployment, server_url: str, tmp_path: Path
) -> None:
    running = deployment.submit(WAITS, tmp_path / "go")
    worker = deployment.worker()
    wait_until("the job runs", (tmp_path / "go.begun").exists)
    small = deployment.job(SHELL + "exit 0")
    large = {**small, "env_variables": {f"NAME{number}": "x" * 100_000 for number in range(10)}}
    with administrator(server_url) as client:
        limit = int(client.info("memory")["used_memory"]) + ROOM_BYTES
        client.config_set("maxmemory", limit)

        many, refusal = fill(deployment, small)
        assert (len(many), refusal.status_code, refusal.json()["context"]["code"]) == (MOST_PENDING, 429, "queue_full")
        assert client.info("memory")["used_memory"] < limit
        deployment.api.call("POST", "/jobs/bulk/cancel", {"job_ids": many})

        few, refusal = fill(deployment, large)
        assert (refusal.status_code, refusal.json()["context"]["code"]) == (503, "store_full")
        assert 1 < len(few) < MOST_PENDING

        (tmp_path / "go").touch()
        assert deployment.wait_for(running, "completed", "failed")["exit_code"] == 3
        for job_id in few:
            assert deployment.wait_for(job_id, "completed", "failed")["status"] == "completed"
        assert client.info("memory")["used_memory"] < limit + ROOM_BYTES / 4
        assert client.info("stats")["evicted_keys"] == 0
    assert worker.process.poll() is None
