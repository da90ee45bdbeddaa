"""The app in this process, on an empty real server with a clock by hand; and the API as gunicorn serves it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from jobqueue.queue.connection import connect
from jobqueue.queue.policy import Policy
from jobqueue.web.factory import create_app
from jobqueue.web.services import Services
from tests.support.bench import SHA256, Bench
from tests.support.clock import START_MS
from tests.support.redis_server import running_redis
from tests.support.serving import PREFIX, Server, running_api

START = "2023-11-14T22:13:20Z"
"""What the clock by hand shows at first (tests.support.clock.START_MS)."""
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
JOB = {"type": "demo", "binary_url": "https://example.com/binary", "binary_sha256": SHA256, "priority": "background"}


@dataclass
class Api:
    """The app on a queue, asked as a client asks it."""

    bench: Bench

    def __post_init__(self) -> None:
        bench = self.bench
        self.app = create_app(Services(bench.connection, bench.commands, bench.queries))
        self.client = self.app.test_client()

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        """Send a request, with `body` as JSON when there is one."""
        if body is not None:
            more["json"] = body
        return self.client.open(PREFIX + path, method=method, **more)

    def get(self, path: str) -> Any:
        """Return what the API answers there."""
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.get_json()

    def submit(self, **changes: Any) -> str:
        """Submit a job that differs from JOB in these fields; return its id."""
        response = self.call("POST", "/jobs", {**JOB, **changes})
        assert response.status_code == 201, response.text
        return str(response.get_json()["id"])

    def claim(self, executor_id: str = "worker-1", **more: str) -> dict[str, Any]:
        """Claim a job; return what the executor is told."""
        response = self.call("POST", "/jobs/claim", {"executor_id": executor_id, **more})
        assert response.status_code == 200, response.text
        claimed: dict[str, Any] = response.get_json()
        return claimed

    def report(self, verb: str, job_id: str, executor_id: str = "worker-1", **more: Any) -> TestResponse:
        """Send a heartbeat, a release, a complete or a fail, with an exit code if it needs one."""
        needed = {"complete": {"exit_code": 0}, "fail": {"exit_code": 1}}.get(verb, {})
        method = "POST" if verb == "release" else "PUT"
        return self.call(method, f"/jobs/{job_id}/{verb}", {"executor_id": executor_id, **needed, **more})

    def refused(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """Send a bad body to an empty queue; return the context of the answer, which is 400 and leaves no trace."""
        more = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
        response = self.call(method, path, **more)
        assert response.status_code == 400, response.data[:1000]
        assert list(response.get_json()) == ["error", "context"]
        assert self.bench.client.dbsize() == 0
        context: dict[str, Any] = response.get_json()["context"]
        return context

    def make_job(self, status: str) -> str:
        """Bring a job into a status; return its id. It is the only pending one for a moment."""
        job_id = self.submit()
        if status == "cancelled":
            assert self.call("DELETE", f"/jobs/{job_id}").status_code == 200
        elif status != "pending":
            assert self.claim()["id"] == job_id
        if status in {"completed", "failed"}:
            verb = {"completed": "complete", "failed": "fail"}[status]
            assert self.report(verb, job_id).status_code == 200
        return job_id


@pytest.fixture
def rules() -> Policy:
    """The documented rules; a test that wants others parametrizes this."""
    return Policy()


@pytest.fixture(scope="session")
def usual_api(server_url: str) -> Iterator[Api]:
    """The app with the documented rules, made once."""
    with connect(server_url) as client:
        yield Api(Bench(client))


@pytest.fixture
def api(real_client: redis.Redis, usual_api: Api, rules: Policy) -> Api:
    """The app on the real server, emptied, with the clock at START."""
    if rules != Policy():
        return Api(Bench(real_client, rules))
    usual_api.bench.clock.now_ms = START_MS
    return usual_api


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    """The API under gunicorn with two processes, on a real server of its own. It is shared: nobody empties it."""
    with tempfile.TemporaryDirectory(prefix="jq-") as name:
        folder = Path(name)
        with running_redis(folder) as redis_url, running_api(folder, REDIS_URL=redis_url) as server:
            yield server
