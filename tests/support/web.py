"""What the tests of the HTTP API share: the app on a queue, a job to submit, and the routes that need Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import TestResponse

from jobqueue.web.access.policy import Access
from jobqueue.web.factory import create_app
from jobqueue.web.services import Services
from tests.support.bench import SHA256, Bench
from tests.support.serving import PREFIX

START = "2023-11-14T22:13:20Z"
"""What the test clock shows at first, as answers show it."""

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
JOB = {"type": "demo", "binary_url": "https://example.com/binary", "binary_sha256": SHA256, "priority": "background"}
UNUSUAL_JOB = {**JOB, "binary_url": "http://[::1]/binary"}
"""As valid as the other, but only the schema can say so: the shortcut knows no such URL."""

HOLDER = {"executor_id": "worker-1"}
ATTEMPT = {"id": UNKNOWN_ID, "attempt_token": "a token"}
RESULT = {**HOLDER, "exit_code": 0}
NEEDS_REDIS: list[tuple[str, str, Any]] = [
    ("POST", "/jobs", JOB),
    ("GET", "/jobs", None),
    ("GET", "/jobs?status=pending&type=x&limit=1000&offset=5", None),
    ("POST", "/jobs/bulk", [JOB, JOB]),
    ("POST", "/jobs/bulk/cancel", {"job_ids": [UNKNOWN_ID]}),
    ("GET", f"/jobs/{UNKNOWN_ID}", None),
    ("DELETE", f"/jobs/{UNKNOWN_ID}", None),
    ("POST", "/jobs/claim", HOLDER),
    ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", HOLDER),
    ("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": [ATTEMPT]}),
    ("POST", "/jobs/bulk/finish", HOLDER | {"results": [ATTEMPT | {"outcome": "release"}]}),
    ("GET", f"/jobs/{UNKNOWN_ID}/output", None),
    ("POST", f"/jobs/{UNKNOWN_ID}/release", HOLDER),
    ("PUT", f"/jobs/{UNKNOWN_ID}/complete", HOLDER | {"exit_code": 0}),
    ("PUT", f"/jobs/{UNKNOWN_ID}/fail", HOLDER),
    ("GET", "/admin/stats", None),
    ("GET", "/admin/executors", None),
    ("GET", "/admin/activity", None),
]
UNHEALTHY = {"status": "unhealthy", "database": "disconnected"}


@dataclass
class Api:
    """The app on a queue of its own, called the way a client calls it. Without `access` it is open to everybody."""

    bench: Bench
    access: Access = field(default_factory=Access)
    rate_limit: str = ""

    def __post_init__(self) -> None:
        bench = self.bench
        given = bench.connection, bench.commands, bench.claims, bench.queries
        self.app = create_app(Services(*given, access=self.access, rate_limit=self.rate_limit))
        self.client = self.app.test_client()

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        """Send a request, with `body` as JSON when there is one."""
        if body is not None:
            more["json"] = body
        return self.client.open(PREFIX + path, method=method, **more)

    def get(self, path: str) -> Any:
        """Return the answer to a GET of this path."""
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.get_json()

    def submit(self, **changes: Any) -> str:
        """Submit JOB with these fields changed; return the id."""
        response = self.call("POST", "/jobs", {**JOB, **changes})
        assert response.status_code == 201, response.text
        return str(response.get_json()["id"])

    def claim(self, executor_id: str = "worker-1", **more: str) -> dict[str, Any]:
        """Claim a job; return the answer."""
        response = self.call("POST", "/jobs/claim", {"executor_id": executor_id, **more})
        assert response.status_code == 200, response.text
        claimed: dict[str, Any] = response.get_json()
        return claimed

    def report(self, verb: str, job_id: str, executor_id: str = "worker-1", **more: Any) -> TestResponse:
        """Send a heartbeat, a release, a complete or a fail, with an exit code where one is required."""
        needed = {"complete": {"exit_code": 0}, "fail": {"exit_code": 1}}.get(verb, {})
        method = "POST" if verb == "release" else "PUT"
        return self.call(method, f"/jobs/{job_id}/{verb}", {"executor_id": executor_id, **needed, **more})

    def refused(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """Send an invalid body to an empty queue, which must answer 400 and store nothing; return the context."""
        more = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
        response = self.call(method, path, **more)
        assert response.status_code == 400, response.data[:1000]
        assert list(response.get_json()) == ["error", "context"]
        assert self.bench.client.dbsize() == 0
        context: dict[str, Any] = response.get_json()["context"]
        return context

    def make_job(self, status: str) -> str:
        """Create a job with this status; return its id. For a moment it must be the only pending job."""
        job_id = self.submit()
        if status == "cancelled":
            assert self.call("DELETE", f"/jobs/{job_id}").status_code == 200
        elif status != "pending":
            assert self.claim()["id"] == job_id
        if status in {"completed", "failed"}:
            verb = {"completed": "complete", "failed": "fail"}[status]
            assert self.report(verb, job_id).status_code == 200
        return job_id


def each(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    """Return every field of a table with every of its values."""
    return [(field, value) for field, values in table.items() for value in values]


def name_of(value: object) -> str:
    """Return the name of a test case with this value."""
    return ascii(value)[:30]
