"""An executor ends the job of another one: it knows the job and the executor, and guesses the token."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from jobqueue.access.scopes import Scope
from tests.support.serving import Server, standing_api
from tests.support.tokens import bearer, line
from tests.support.web import JOB

EXECUTOR = "worker-1"
TOKENS = {"victim": Scope.EXECUTE, "attacker": Scope.EXECUTE, "reader": Scope.READ, "user": Scope.SUBMIT}
OPERATOR = "operator"
VERBS = {
    "heartbeat": ("PUT", {}),
    "complete": ("PUT", {"exit_code": 0}),
    "fail": ("PUT", {"exit_code": 1}),
    "release": ("POST", {}),
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server with a token for each party. Each test ends its job."""
    entries = [line(name, scope) for name, scope in {**TOKENS, OPERATOR: Scope.ADMIN}.items()]
    with standing_api(WEB_CONCURRENCY="1", API_TOKENS="\n".join(entries)) as server:
        yield server


def claim(server: Server) -> dict[str, Any]:
    """Submit a job and have the victim claim it; return the answer."""
    assert server.call("POST", "/jobs", JOB, headers=bearer("user")).status_code == 201
    answer = server.call("POST", "/jobs/claim", {"executor_id": EXECUTOR}, headers=bearer("victim"))
    claimed: dict[str, Any] = answer.json()
    return claimed


def end(server: Server, job: Mapping[str, Any]) -> None:
    """Complete the job as the executor that has claimed it."""
    report = {"executor_id": EXECUTOR, "attempt_token": job["attempt_token"], "exit_code": 0}
    answer = server.call("PUT", f"/jobs/{job['id']}/complete", report, headers=bearer("victim"))
    assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text


def guesses(token: str) -> dict[str, Mapping[str, Any]]:
    """Return what an attacker may send for the token of an attempt, by name."""
    values: dict[str, Any] = {
        "a random one": str(uuid.uuid4()),
        "its first half": token[: len(token) // 2],
        "one more character": token + "0",
        "another last character": token[:-1] + ("0" if token[-1] != "0" else "1"),
        "a pattern": "*",
        "an empty one": "",
        "null": None,
        "a number": 0,
        "a list with it": [token],
    }
    return {"none": {}} | {name: {"attempt_token": value} for name, value in values.items()}


def refusals(server: Server, job_id: str, caller: str, sent: Mapping[str, Any]) -> list[int]:
    """Report about a job in every way; return the statuses, with 400 for an entry that many reports refused."""
    headers = bearer(caller)
    statuses = [
        server.call(method, f"/jobs/{job_id}/{verb}", {"executor_id": EXECUTOR, **more, **sent}, headers=headers)
        for verb, (method, more) in VERBS.items()
    ]
    entry = {"id": job_id, **sent}
    beats = server.call("POST", "/jobs/bulk/heartbeat", {"executor_id": EXECUTOR, "jobs": [entry]}, headers=headers)
    results = [entry | {"outcome": "complete", "exit_code": 0}]
    ends = server.call("POST", "/jobs/bulk/finish", {"executor_id": EXECUTOR, "results": results}, headers=headers)
    found = [answer.status_code for answer in statuses]
    found.append(400 if beats.status_code == 200 and not beats.json()["jobs"][0]["held"] else beats.status_code)
    found.append(400 if ends.status_code == 200 and "code" in ends.json()["results"][0] else ends.status_code)
    return found


def test_no_guess_ends_the_job_of_another_executor(guarded: Server) -> None:
    job = claim(guarded)
    sent = guesses(job["attempt_token"])
    for name, guess in sent.items():  # the victim's own token for the API does not help without that of the attempt
        for caller in ("victim", "attacker"):
            assert set(refusals(guarded, job["id"], caller, guess)) <= {400, 404}, (caller, name)
    assert set(refusals(guarded, job["id"], "attacker", {"attempt_token": job["attempt_token"]})) <= {400, 404}
    assert guarded.call("GET", f"/jobs/{job['id']}", headers=bearer("reader")).json()["status"] == "running"
    end(guarded, job)


def test_the_token_of_an_attempt_is_shown_by_its_claim_alone(guarded: Server) -> None:
    job = claim(guarded)
    paths = [f"/jobs/{job['id']}", f"/jobs/{job['id']}/output", "/jobs", "/jobs?status=running", "/admin/executors"]
    paths += ["/admin/stats", "/admin/activity", "/metrics", "/health", "/openapi.json"]
    shown = {
        (path, caller): guarded.call("GET", path, headers=bearer(caller))
        for path in paths
        for caller in (*TOKENS, OPERATOR)
    }
    assert {shown[path, OPERATOR].status_code for path in paths} == {200}
    assert EXECUTOR in shown["/admin/executors", "reader"].text
    assert [place for place, answer in shown.items() if job["attempt_token"] in answer.text + str(answer.headers)] == []
    refusals(guarded, job["id"], "attacker", {"attempt_token": job["attempt_token"]})
    end(guarded, job)
    assert job["id"] in guarded.log
    assert job["attempt_token"] not in guarded.log
