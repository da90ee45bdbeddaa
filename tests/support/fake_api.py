"""One server in place of the API and of the host of the programs: it hands out jobs and keeps what is reported."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from jobqueue.client.claimed_job import ClaimedJob
from tests.support.fake_server import JOB_ID, FakeServer, Reply, Request, in_json

REFUSED = in_json({"error": "Job not found or not running", "context": {}}, 404)
AWAY = in_json({"error": "The database cannot be reached", "context": {}}, 503)
UNKNOWN_TOKEN = in_json({"error": "The token is not known", "context": {"code": "unauthenticated"}}, 401)
FORBIDDEN = in_json({"error": "Not allowed", "context": {"code": "forbidden", "scope": "execute"}}, 403)
YES = in_json({"id": JOB_ID, "status": "running"})
CANCEL = in_json({"id": JOB_ID, "status": "running", "cancel_requested": True})


class FakeApi:
    """Accepts everything; `answers` has, by verb, the function that a test wants to answer instead.

    The verbs are claim, heartbeat, complete, fail, release, and program for a download. A request about many jobs is
    taken apart: the functions see, and `seen` returns, one request for each job, as an API that is `older` gets them.
    """

    def __init__(self, older: bool = False) -> None:
        self.answers: dict[str, Callable[[Request], Reply]] = {}
        self.server = FakeServer(self.answer)
        self.older = older
        self.parts: list[Request] = []
        """The requests that others consisted of."""
        self._pending: deque[dict[str, Any]] = deque()
        self._programs: dict[str, bytes] = {}
        self._claimed: dict[str, list[dict[str, Any]]] = {}
        self._offered = threading.Condition()

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
        with self._offered:
            self._pending.append(job)
            self._offered.notify_all()
        return ClaimedJob(**job)

    @property
    def pending(self) -> int:
        """How many jobs have not been claimed."""
        return len(self._pending)

    def seen(self, *verbs: str) -> list[Request]:
        """Return the requests with these verbs."""
        whole = [request for request in self.server.requests if "/bulk/" not in request.path]
        return [request for request in (*whole, *self.parts) if _verb(request) in verbs]

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
        if request.path.startswith("/jobs/bulk/"):
            return in_json({"error": "No such path", "context": {}}, 404) if self.older else self._bulk(verb, request)
        if verb in self.answers:
            return self.answers[verb](request)
        if verb == "program":
            return Reply(body=self._programs[request.path.split("/")[1]])
        if verb == "claim":
            return self._claim(request.json)
        return in_json({"id": request.path.split("/")[2], "status": "running"})

    def _bulk(self, verb: str, request: Request) -> Reply:
        body = request.json
        executor = {"executor_id": body["executor_id"]}
        if verb == "heartbeat":
            return self._each(request, [("heartbeat", executor | job) for job in body["jobs"]], "jobs", {"lease_ms": 1})
        results = [(result.pop("outcome"), executor | result) for result in body["results"]]
        more = {}
        if "claim" in body:
            claimed = self._part(request, "/jobs/claim", executor | body["claim"])
            if claimed.status not in (200, 204):
                return claimed
            more = {"jobs": json.loads(claimed.body)["jobs"] if claimed.body else []}
        return self._each(request, results, "results", more)

    def _each(
        self, request: Request, parts: list[tuple[str, dict[str, Any]]], name: str, more: dict[str, Any]
    ) -> Reply:
        """Answer each part by itself; a reply that says nothing about the job is the answer to the whole request."""
        entries = []
        for verb, body in parts:
            job_id = body.pop("id")
            reply = self._part(request, f"/jobs/{job_id}/{verb}", body)
            content = _parsed(reply)
            if content is None or (verb == "heartbeat" and reply.status not in (200, 404)):
                return reply
            if reply.status in (401, 403):
                return reply
            entries.append({"id": job_id, **_entry(verb, reply.status, content)})
        return in_json({name: entries, **more})

    def _part(self, request: Request, path: str, body: dict[str, Any]) -> Reply:
        part = replace(request, path=path, body=json.dumps(body).encode())
        self.parts.append(part)
        return self.answer(part)

    def _claim(self, claim: dict[str, Any]) -> Reply:
        if self.older:
            if set(claim) != {"executor_id"}:
                return in_json({"error": "Invalid request", "context": {"max_jobs": ["Unknown field."]}}, 400)
            return in_json(self._pending.popleft()) if self._pending else Reply(204)
        if jobs := self._claimed.get(claim["claim_id"]):
            return in_json({"jobs": jobs})
        with self._offered:
            for _ in range(int(claim.get("wait_seconds", 0) / 0.02)):
                if self._pending or self.server.closed.is_set():
                    break
                self._offered.wait(0.02)
            jobs = [self._pending.popleft() for _ in range(min(len(self._pending), claim["max_jobs"]))]
        if jobs:
            self._claimed[claim["claim_id"]] = jobs
        return in_json({"jobs": jobs}) if jobs else Reply(204)


def _entry(verb: str, status: int, content: dict[str, Any]) -> dict[str, Any]:
    if verb == "heartbeat":
        held = status == HTTPStatus.OK
        return {"held": held, "cancel_requested": content.get("cancel_requested", False)} if held else {"held": False}
    if status == HTTPStatus.OK:
        return {"status": "completed", "replayed": False}
    code = "store_unavailable" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "lease_lost"
    return {"error": content["error"], "code": code}


def _parsed(reply: Reply) -> dict[str, Any] | None:
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and not reply.pieces else None


def _verb(request: Request) -> str:
    return request.path.rpartition("/")[2]


@contextmanager
def running_api() -> Iterator[FakeApi]:
    """A fake API that serves."""
    api = FakeApi()
    api.server.start()
    try:
        yield api
    finally:
        api.server.close()
