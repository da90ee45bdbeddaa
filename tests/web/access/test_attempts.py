"""With tokens, executors must send the token of the attempt, and an attempt belongs to the name that claimed it."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobqueue.access.keyring import Keyring
from jobqueue.access.scopes import Scope
from jobqueue.web.access.policy import Access
from tests.support.bench import Bench
from tests.support.tokens import bearer, entry
from tests.support.web import JOB, Api

REPORTS = [("PUT", "heartbeat"), ("PUT", "complete"), ("PUT", "fail"), ("POST", "release")]
MISSING = "/jobs/00000000-0000-4000-8000-000000000000"


@pytest.fixture
def guarded(api: Api) -> Api:
    """The app with two tokens that may do everything, on an emptied store."""
    keyring = Keyring.configured([entry("alice", Scope.ADMIN), entry("bob", Scope.ADMIN)], None)
    return Api(Bench(api.bench.client), Access(keyring, requires_attempt_token=True))


def send(api: Api, name: str, path: str, body: Any, method: str = "POST", **headers: str) -> TestResponse:
    """Send a request with the token of that name."""
    return api.call(method, path, body, headers=bearer(name) | headers)


def start(api: Api, **more: str) -> dict[str, Any]:
    """Submit a job, and have alice claim it as worker-1; return the answer."""
    send(api, "alice", "/jobs", JOB)
    claimed: dict[str, Any] = send(api, "alice", "/jobs/claim", {"executor_id": "worker-1", **more}).get_json()
    return claimed


@pytest.mark.parametrize(("method", "verb"), REPORTS)
def test_a_report_without_the_token_of_the_attempt_is_refused(guarded: Api, method: str, verb: str) -> None:
    job = start(guarded)
    for path in (f"/jobs/{job['id']}", MISSING):
        response = send(guarded, "alice", f"{path}/{verb}", {"executor_id": "worker-1", "exit_code": 0}, method)
        if verb in {"heartbeat", "release"}:
            response = send(guarded, "alice", f"{path}/{verb}", {"executor_id": "worker-1"}, method)
        assert response.status_code == 400
        assert list(response.get_json()["context"]) == ["attempt_token"]
    assert guarded.bench.queries.get(job["id"]).status == "running"


@pytest.mark.parametrize(("method", "verb"), REPORTS)
def test_a_report_of_another_name_is_refused_as_that_of_any_non_holder(guarded: Api, method: str, verb: str) -> None:
    job = start(guarded)
    body = {"executor_id": "worker-1", "attempt_token": job["attempt_token"]}
    body |= {"exit_code": 0} if verb in {"complete", "fail"} else {}
    path = f"/jobs/{job['id']}/{verb}"
    other_name = send(guarded, "bob", path, body, method)
    other_attempt = send(guarded, "alice", path, body | {"attempt_token": "made up"}, method)
    assert (other_name.status_code, other_name.data) == (other_attempt.status_code, other_attempt.data)
    assert other_name.status_code in {400, 404}
    assert send(guarded, "alice", path, body, method).status_code == 200


def test_one_of_many_reports_of_another_name_is_refused(guarded: Api) -> None:
    job = start(guarded)
    about = {"id": job["id"], "attempt_token": job["attempt_token"]}
    body = {"executor_id": "worker-1", "results": [about | {"outcome": "complete", "exit_code": 0}]}
    [result] = send(guarded, "bob", "/jobs/bulk/finish", body).get_json()["results"]
    assert result["code"] == "lease_lost"
    [beat] = send(guarded, "bob", "/jobs/bulk/heartbeat", {"executor_id": "worker-1", "jobs": [about]}).get_json()[
        "jobs"
    ]
    assert beat == {"id": job["id"], "held": False, "code": "not_held"}
    [result] = send(guarded, "alice", "/jobs/bulk/finish", body).get_json()["results"]
    assert result["status"] == "completed"


def test_the_claim_of_another_name_is_not_repeated(guarded: Api) -> None:
    job = start(guarded, claim_id="mine")
    body = {"executor_id": "worker-1", "claim_id": "mine"}
    assert send(guarded, "bob", "/jobs/claim", body).status_code == 204
    finish = {"executor_id": "worker-1", "results": [{"id": MISSING, "attempt_token": "x", "outcome": "release"}]}
    assert send(guarded, "bob", "/jobs/bulk/finish", finish | {"claim": {"claim_id": "mine"}}).get_json()["jobs"] == []
    again = send(guarded, "alice", "/jobs/claim", body)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.get_json()["attempt_token"] == job["attempt_token"]


def test_the_jobs_that_were_claimed_with_reports_belong_to_the_caller(guarded: Api) -> None:
    send(guarded, "alice", "/jobs", JOB)
    finish = {"executor_id": "worker-1", "results": [{"id": MISSING, "attempt_token": "x", "outcome": "release"}]}
    [job] = send(guarded, "alice", "/jobs/bulk/finish", finish | {"claim": {}}).get_json()["jobs"]
    body = {"executor_id": "worker-1", "attempt_token": job["attempt_token"]}
    assert send(guarded, "bob", f"/jobs/{job['id']}/release", body).status_code == 400
    assert send(guarded, "alice", f"/jobs/{job['id']}/release", body).status_code == 200


@pytest.mark.parametrize(("path", "body"), [("/jobs", JOB), ("/jobs/bulk", [JOB])])
def test_an_idempotency_key_of_another_name_has_never_been_used(guarded: Api, path: str, body: Any) -> None:
    key = {"Idempotency-Key": "the-same"}
    first, others, again = (send(guarded, name, path, body, "POST", **key) for name in ("alice", "bob", "alice"))
    assert {first.status_code, others.status_code} == {201}
    assert "Idempotent-Replay" not in others.headers
    assert others.data != first.data
    assert again.data == first.data


def test_an_open_api_takes_reports_without_a_token_unless_it_is_told_otherwise(api: Api) -> None:
    strict = Api(Bench(api.bench.client), Access(requires_attempt_token=True))
    for each, status in ((strict, 400), (api, 200)):
        api.make_job("running")
        [job] = each.get("/jobs?status=running&limit=1")
        assert each.report("complete", job["id"]).status_code == status
