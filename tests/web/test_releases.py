"""Releases after a host fault, over HTTP: the delay, who is offered the job, and when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from jobqueue.queue.policy import Policy
from tests.support.serving import Server
from tests.support.web import HOLDER, JOB, START, UNKNOWN_ID, Api

HOST_FAULTS = ("download_failed", "blocked_by_policy", "exec_failed", "host_fault")
FULL = "the disk of this host is full"
BAD_MESSAGES: list[Any] = [1, True, [], {}, ["a"]]


def claim(api: Api, executor_id: str) -> str | None:
    """Claim as an executor; return the id of the job, or None for 204."""
    response = api.call("POST", "/jobs/claim", {"executor_id": executor_id})
    assert response.status_code in {200, 204}
    return str(response.get_json()["id"]) if response.status_code == 200 else None


def release(api: Api, job_id: str, executor_id: str, reason: str = "host_fault", message: str | None = FULL) -> str:
    """Release a job; return its new status."""
    response = api.report("release", job_id, executor_id, reason=reason, error_message=message)
    assert response.status_code == 200, response.text
    return str(response.get_json()["status"])


def wait(api: Api, seconds: int, *askers: str) -> list[str | None]:
    """Let time pass; these executors claim each second. Return what they got."""
    got = []
    for _ in range(seconds):
        api.bench.pass_time(1_000)
        got += [claim(api, asker) for asker in askers]
    return got


@pytest.mark.parametrize("reason", HOST_FAULTS)
def test_a_host_fault_shows_in_the_attempt_while_the_job_is_pending(api: Api, reason: str) -> None:
    job_id = api.submit()
    api.claim("worker-1", executor_ip="10.0.0.1")
    assert release(api, job_id, "worker-1", reason) == "pending"
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["reason"], job["error_message"], job["executor_id"]) == ("pending", None, None, None)
    assert job["attempts"] == [
        {
            "executor_id": "worker-1",
            "executor_ip": "10.0.0.1",
            "started_at": START,
            "ended_at": START,
            "status": "released",
            "reason": reason,
            "error_message": FULL,
        }
    ]


def test_another_executor_gets_a_job_that_one_could_not_run(api: Api) -> None:
    job_id = api.submit()
    assert claim(api, "bad") == job_id
    release(api, job_id, "bad")
    assert wait(api, 4, "bad", "good") == [None] * 8
    assert wait(api, 1, "bad", "good") == [None, job_id]
    assert api.report("complete", job_id, "good").get_json()["status"] == "completed"


def test_an_executor_alone_gets_its_job_again_until_the_job_fails(api: Api) -> None:
    job_id = api.submit()
    assert claim(api, "only") == job_id
    assert release(api, job_id, "only", message="the first") == "pending"
    assert wait(api, 5, "only") == [None] * 4 + [job_id]
    assert release(api, job_id, "only", message="the second") == "pending"
    assert wait(api, 10, "only") == [None] * 9 + [job_id]
    assert release(api, job_id, "only", "download_failed", "the third") == "failed"
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["reason"], job["error_message"]) == ("failed", "download_failed", "the third")
    assert (job["exit_code"], job["completed_at"]) == (None, "2023-11-14T22:13:35Z")
    assert [attempt["error_message"] for attempt in job["attempts"]] == ["the first", "the second", "the third"]
    assert {attempt["status"] for attempt in job["attempts"]} == {"released"}
    assert claim(api, "only") is None


@pytest.mark.parametrize("policy", [Policy(max_host_faults=1)])
def test_the_number_of_host_faults_is_a_setting(api: Api, policy: Policy) -> None:
    job_id = api.submit()
    claim(api, "worker-1")
    assert release(api, job_id, "worker-1", "exec_failed", None) == "failed"
    job = api.get(f"/jobs/{job_id}")
    assert job["reason"] == "exec_failed"
    assert "worker-1" in job["error_message"]
    assert job["attempts"][0]["error_message"] is None


def test_a_bad_host_beside_a_good_one_fails_no_job(api: Api) -> None:
    job_ids = {api.submit() for _ in range(15)}
    completed = set()
    for _ in range(30):
        while bad := claim(api, "bad"):
            release(api, bad, "bad", "download_failed", "unknown host")
        if good := claim(api, "good"):
            assert api.report("complete", good, "good").status_code == 200
            completed.add(good)
        api.bench.pass_time(1_000)
    assert completed == job_ids


@pytest.mark.parametrize("reason", [None, "worker_shutdown"])
def test_a_release_that_is_no_host_fault_counts_nothing(api: Api, reason: str | None) -> None:
    job_id = api.submit()
    for _ in range(5):
        assert claim(api, "worker-1") == job_id
        body = {**HOLDER, "reason": reason, "error_message": None}
        assert api.call("POST", f"/jobs/{job_id}/release", body).get_json() == {"id": job_id, "status": "pending"}


def test_a_delayed_job_can_be_cancelled_and_is_listed_as_pending(api: Api) -> None:
    job_id = api.submit()
    claim(api, "worker-1")
    release(api, job_id, "worker-1")
    assert [job["id"] for job in api.get("/jobs?status=pending&type=demo&priority=background")] == [job_id]
    stats = api.get("/admin/stats")
    assert (stats["jobs_by_status"]["pending"], stats["pending_by_priority"]["background"]) == (1, 1)
    response = api.call("DELETE", f"/jobs/{job_id}")
    assert (response.status_code, response.get_json()["status"]) == (200, "cancelled")


def test_the_attempt_of_a_failed_job_shows_its_message(api: Api) -> None:
    job_id = api.submit()
    api.claim()
    api.report("fail", job_id, error_message="it broke")
    assert [attempt["error_message"] for attempt in api.get(f"/jobs/{job_id}")["attempts"]] == ["it broke"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("reason", reason) for reason in ("checksum_mismatch", "exited", "timeout", "oom_killed", "lease_lost")),
        *[("error_message", value) for value in BAD_MESSAGES],
    ],
)
def test_a_release_with_another_reason_or_a_bad_message_is_refused(api: Api, field: str, value: Any) -> None:
    assert list(api.refused("POST", f"/jobs/{UNKNOWN_ID}/release", {**HOLDER, field: value})) == [field]


def test_a_served_host_fault_is_pending_and_not_handed_out_at_once(served: Server) -> None:
    job_id = served.call("POST", "/jobs", {**JOB, "type": "host-fault", "priority": "foreground"}).json()["id"]
    claimed = served.call("POST", "/jobs/claim", {"executor_id": "bad"}).json()
    assert claimed["id"] == job_id
    body = {"executor_id": "bad", "attempt_token": claimed["attempt_token"], "reason": "host_fault"}
    answer = served.call("POST", f"/jobs/{job_id}/release", {**body, "error_message": FULL})
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    again = served.call("POST", "/jobs/claim", {"executor_id": "good"})
    assert again.status_code == 204 or again.json()["id"] != job_id
    assert served.call("GET", f"/jobs/{job_id}").json()["attempts"][0]["error_message"] == FULL
    assert served.call("DELETE", f"/jobs/{job_id}").status_code == 200
