"""One server in place of the API and of the host of the programs: it hands out jobs and keeps what is reported."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from jobqueue.client.claims import ClaimedJob
from tests.support.fake_server import JOB_ID, FakeServer, Reply, Request, in_json

REFUSED = in_json({"error": "Job not found or not running", "context": {}}, 404)
AWAY = in_json({"error": "The database cannot be reached", "context": {}}, 503)
YES = in_json({"id": JOB_ID, "status": "running"})
CANCEL = in_json({"id": JOB_ID, "status": "running", "cancel_requested": True})


class FakeApi:
    """Accepts everything; `answers` has, by verb, the function that a test wants to answer instead.

    The verbs are claim, heartbeat, complete, fail, release, and program for a download.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Request], Reply]] = {}
        self.server = FakeServer(self.answer)
        self._pending: deque[dict[str, Any]] = deque()
        self._programs: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        """The URL for the setting API_URL."""
        return self.server.url

    def offer(
        self,
        program: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        lease_ms: int = 60_000,
        sha256: str | None = None,
        **more: Any,
    ) -> ClaimedJob:
        """Offer a job to the next claim; return it as the worker will see it."""
        job_id = f"job-{len(self._programs) + 1}"
        self._programs[job_id] = program.encode()
        job: dict[str, Any] = {
            "id": job_id,
            "binary_url": f"{self.url}/{job_id}/program",
            "binary_sha256": sha256 or hashlib.sha256(program.encode()).hexdigest(),
            "arguments": [str(argument) for argument in arguments],
            "env_variables": dict(environment or {}),
            "attempt_token": f"token-{job_id}",
            "lease_ms": lease_ms,
            **more,
        }
        self._pending.append(job)
        return ClaimedJob(**job)

    def seen(self, *verbs: str) -> list[Request]:
        """Return the requests with these verbs."""
        return [request for request in self.server.requests if _verb(request) in verbs]

    def reports(self) -> list[tuple[str, Any]]:
        """Return verb and body of every report."""
        return [(_verb(request), request.json) for request in self.seen("complete", "fail", "release")]

    def only_report(self) -> tuple[str, Any]:
        """Return verb and body of the one report there is."""
        (report,) = self.reports()
        return report

    def answer(self, request: Request) -> Reply:
        """Answer a request as the test wants, or accept it."""
        verb = _verb(request)
        if verb in self.answers:
            return self.answers[verb](request)
        if verb == "program":
            return Reply(body=self._programs[request.path.split("/")[1]])
        if verb == "claim":
            return in_json(self._pending.popleft()) if self._pending else Reply(204)
        return in_json({"id": request.path.split("/")[2], "status": "running"})


def _verb(request: Request) -> str:
    return request.path.rpartition("/")[2]
