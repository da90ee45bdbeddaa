"""What a caller sees of a job: secrets only if it may submit jobs, or has claimed this one."""

from __future__ import annotations

import json
import time
from dataclasses import fields
from typing import Any

import pytest

from jobqueue.job import Spec
from jobqueue.web.access.policy import Access
from tests.support.bench import Bench
from tests.support.tokens import bearer, one_for_each_scope
from tests.support.web import JOB, Api

CANARY = "c4n4ry"
URL = f"https://user:{CANARY}@cdn.example/tools/x?sig={CANARY}&expires=9"
SECRET = {**JOB, "binary_url": URL, "env_variables": {"KEY": CANARY, "EMPTY": ""}}


@pytest.fixture
def guarded(api: Api) -> Api:
    """The app with a token for each scope, on an emptied store."""
    return Api(Bench(api.bench.client), Access(one_for_each_scope()))


def submitted(guarded: Api) -> str:
    """Submit a job with secrets; return its id."""
    return str(guarded.call("POST", "/jobs", SECRET, headers=bearer("submit")).get_json()["id"])


def claimed(guarded: Api, **more: Any) -> dict[str, Any]:
    """Claim a job; return the answer."""
    body = {"executor_id": "worker-1", **more}
    answer: dict[str, Any] = guarded.call("POST", "/jobs/claim", body, headers=bearer("execute")).get_json()
    return answer


def fail(guarded: Api, job: dict[str, Any], message: str) -> None:
    """Report a job as failed."""
    body = {"executor_id": "worker-1", "attempt_token": job["attempt_token"], "error_message": message}
    path = f"/jobs/{job['id']}/fail"
    assert guarded.call("PUT", path, body, headers=bearer("execute")).status_code == 200


def read(guarded: Api, job_id: str, name: str) -> dict[str, Any]:
    """Return the details of a job as the token of that name sees them."""
    response = guarded.call("GET", f"/jobs/{job_id}", headers=bearer(name))
    assert response.status_code == 200
    details: dict[str, Any] = response.get_json()
    return details


@pytest.mark.parametrize("status", ["pending", "running", "failed"])
def test_a_reader_sees_names_and_stars(guarded: Api, status: str) -> None:
    job_id = submitted(guarded)
    if status != "pending":
        job = claimed(guarded)
        if status == "failed":
            fail(guarded, job, f"cannot fetch {URL}: 403")
    details = read(guarded, job_id, "read")
    assert details["status"] == status
    assert details["env_variables"] == {"KEY": "***", "EMPTY": "***"}
    assert details["binary_url"] == "https://***@cdn.example/tools/x***"
    assert CANARY not in json.dumps(details)


@pytest.mark.parametrize(
    "message",
    [
        f"{URL}{URL}",
        f"//user:{CANARY}@cdn.example/other",
        f"GET /tools/x?sig={CANARY}&expires=9 HTTP/1.1",
        f"refused: user:{CANARY}, {CANARY}",
        f"wrong parameters: sig={CANARY}&expires=9",
    ],
)
def test_a_reader_sees_no_secret_of_the_url_in_a_message(guarded: Api, message: str) -> None:
    job_id = submitted(guarded)
    fail(guarded, claimed(guarded), message)
    details = read(guarded, job_id, "read")
    assert CANARY not in json.dumps(details)
    assert details["error_message"] == details["attempts"][-1]["error_message"]


@pytest.mark.parametrize("message", ["a:" * 100_000, "://" * 70_000, "?a@" * 70_000])
def test_no_message_takes_long_to_show_to_a_reader(guarded: Api, message: str) -> None:
    job_id = submitted(guarded)
    fail(guarded, claimed(guarded), message)
    started = time.monotonic()
    assert read(guarded, job_id, "read")["error_message"] == message
    assert time.monotonic() - started < 5


def test_whether_a_reader_sees_it_was_decided_for_every_field_of_a_spec() -> None:
    shown, hidden = {"binary_sha256", "arguments", "timeout_seconds"}, {"binary_url", "env_variables", "signature"}
    assert {field.name for field in fields(Spec)} == shown | hidden


@pytest.mark.parametrize("name", ["submit", "admin"])
def test_whoever_may_submit_sees_all(guarded: Api, name: str) -> None:
    details = read(guarded, submitted(guarded), name)
    assert (details["env_variables"], details["binary_url"]) == (SECRET["env_variables"], URL)


def test_an_executor_gets_all_with_its_claim(guarded: Api) -> None:
    submitted(guarded)
    job = claimed(guarded)
    assert (job["env_variables"], job["binary_url"]) == (SECRET["env_variables"], URL)
    submitted(guarded)
    [job] = claimed(guarded, max_jobs=2)["jobs"]
    assert (job["env_variables"], job["binary_url"]) == (SECRET["env_variables"], URL)


def test_nobody_sees_secrets_in_lists_counts_and_metrics(guarded: Api) -> None:
    submitted(guarded)
    fail(guarded, claimed(guarded), f"cannot fetch {URL}: 403")
    for path in ("/jobs", "/admin/stats", "/admin/executors", "/metrics"):
        for name in ("read", "submit", "admin"):
            assert CANARY not in guarded.call("GET", path, headers=bearer(name)).text


def test_an_open_api_shows_all(api: Api) -> None:
    job_id = api.submit(**SECRET)
    assert api.get(f"/jobs/{job_id}")["env_variables"] == SECRET["env_variables"]
    assert api.get(f"/jobs/{job_id}")["binary_url"] == URL
