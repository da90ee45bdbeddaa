"""Submitters, probes and careless executors, which run against the API for the whole time."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import requests

from tests.fault_run.history import Call
from tests.fault_run.programs import SHA256
from tests.fault_run.stage import LEASE_SECONDS, SERVERS, Stage

PRIORITIES = ("foreground", "background", "best_effort")
SUBMIT_PAUSE_SECONDS = 1.0
"""The longest pause of a submitter."""

TIME_LIMIT_SECONDS = 30.0
"""How long a client waits. The run fails long before, so that this says how long an answer really took."""

UNANSWERED = (0, requests.codes.unavailable)
"""The statuses after which nobody knows what was done."""


class Client:
    """Sends requests to the servers and remembers what came of each. For one thread."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Connection"] = "close"  # or a server's idle time-out would look like a fault

    def call(self, name: str, server: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status (0 without an answer) and the answer, decoded if it is JSON."""
        begun, status, answer, error = time.monotonic(), 0, None, ""
        try:
            response = self._session.request(
                method, self._stage.servers[server].url + path, json=body, timeout=TIME_LIMIT_SECONDS
            )
            status = response.status_code
            answer = response.json() if "json" in response.headers.get("Content-Type", "") else None
        except (requests.RequestException, ValueError) as raised:
            error = repr(raised)
        self._stage.history.calls.append(Call(name, server, begun, time.monotonic(), status, error))
        return status, answer


def submit(stage: Stage, rng: random.Random) -> None:
    """Submit jobs, and cancel some of them at once."""
    client, history = Client(stage), stage.history
    while not stage.over.wait(rng.uniform(0, SUBMIT_PAUSE_SECONDS)):
        jobs = [_job(stage, rng) for _ in range(rng.choice((1, 1, 1, 1, 5)))]
        server = rng.randrange(SERVERS)
        if len(jobs) == 1:
            status, answer = client.call("submit", server, "POST", "/jobs", jobs[0])
            answers = [answer]
        else:
            status, answers = client.call("submit_many", server, "POST", "/jobs/bulk", jobs)
        if status != requests.codes.created:
            continue
        history.submitted.update({each["id"]: job for each, job in zip(answers, jobs, strict=True)})
        if rng.random() < 0.1:
            job_id = answers[0]["id"]
            status, _ = client.call("cancel", rng.randrange(SERVERS), "DELETE", f"/jobs/{job_id}")
            if status == requests.codes.ok:
                history.cancelled.add(job_id)


def probe(stage: Stage, server: int, over: threading.Event) -> None:
    """Ask a server for its health all the time, and for the rest now and then."""
    client, rounds = Client(stage), 0
    while not over.wait(0.1):
        client.call("health", server, "GET", "/health")
        rounds += 1
        if rounds % 10 == 0:
            client.call("metrics", server, "GET", "/metrics")
            client.call("stats", server, "GET", "/admin/stats")
            client.call("list", server, "GET", "/jobs?limit=20")


def execute_carelessly(stage: Stage, rng: random.Random, name: str) -> None:
    """Claim jobs, never send a heartbeat, and report a result whatever became of the lease meanwhile."""
    client, history, number = Client(stage), stage.history, 0
    while not stage.over.wait(rng.uniform(0.5, 1.5)):
        server = rng.randrange(SERVERS)
        wanted = {"executor_id": name, "claim_id": f"{name}-{number}"} if rng.random() < 0.5 else {"executor_id": name}
        status, job = client.call("claim", server, "POST", "/jobs/claim", wanted)
        if status in UNANSWERED and "claim_id" in wanted:
            status, job = client.call("claim", rng.randrange(SERVERS), "POST", "/jobs/claim", wanted)
        if status != requests.codes.ok:
            continue
        stage.pause(LEASE_SECONDS * rng.choice((0.0, 0.1, 0.3, 1.5)))
        number += 1
        output = f"{name} has run {number}"
        report = {"attempt_token": job["attempt_token"], "exit_code": 0, "stdout": output}
        complete = rng.choice((_complete, _complete_among_many))
        for _ in range(5):
            status = complete(client, server, name, job["id"], report)
            if status == requests.codes.ok:
                with history.lock:
                    history.completed.setdefault(job["id"], set()).add(output)
            if status == requests.codes.bad_request:
                history.stale_refused += 1
            if status not in UNANSWERED:
                break
            stage.pause(0.5)


def _complete(client: Client, server: int, name: str, job_id: str, report: dict[str, Any]) -> int:
    return client.call("complete", server, "PUT", f"/jobs/{job_id}/complete", {"executor_id": name, **report})[0]


def _complete_among_many(client: Client, server: int, name: str, job_id: str, report: dict[str, Any]) -> int:
    """Report in a request that takes many reports; return the status that a request of its own would have got."""
    result = {**report, "id": job_id, "outcome": "complete"}
    body = {"executor_id": name, "results": [result]}
    status, answer = client.call("finish", server, "POST", "/jobs/bulk/finish", body)
    refused = status == requests.codes.ok and "error" in answer["results"][0]
    return requests.codes.bad_request if refused else status


def _job(stage: Stage, rng: random.Random) -> dict[str, Any]:
    mark = f"{rng.getrandbits(64):016x}"
    fifths, exit_code, output = rng.choice((0, 0, 1, 3, 8)), rng.choice((0, 0, 0, 0, 3)), rng.choice((0, 0, 0, 300_000))
    return {
        "type": rng.choice(("alpha", "beta", "gamma")),
        "binary_url": f"{stage.host.url}/program.sh",
        "binary_sha256": SHA256,
        "arguments": [mark, str(fifths), str(exit_code), str(output)],
        "env_variables": {"LINES": str(stage.lines)},
        "priority": rng.choice(PRIORITIES),
    }
