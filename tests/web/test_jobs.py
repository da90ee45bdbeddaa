"""Submit, read and cancel jobs, one at a time and in bulk."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import pytest

from jobqueue.queue.policy import Policy
from tests.support.clock import START_MS
from tests.support.web import JOB, START, UNKNOWN_ID, Api

DOCUMENTED: dict[str, Any] = {
    "type": "data-processing",
    "binary_url": "https://example.com/binary",
    "binary_sha256": "ABC123" + "0" * 58,
    "arguments": ["arg1", "arg2"],
    "env_variables": {"KEY1": "value1", "KEY2": "value2"},
    "priority": "background",
}


def test_a_submitted_job_is_answered_with_its_id_type_status_and_time(api: Api) -> None:
    response = api.call("POST", "/jobs", DOCUMENTED)
    body = response.get_json()
    assert response.status_code == 201
    assert str(UUID(body["id"])) == body["id"]
    assert body == {"id": body["id"], "type": "data-processing", "status": "pending", "created_at": START}


def test_the_location_of_a_submitted_job_is_its_url(api: Api) -> None:
    response = api.call("POST", "/jobs", DOCUMENTED)
    location = urljoin("/api/v1/jobs", response.headers["Location"])
    assert location == f"/api/v1/jobs/{response.get_json()['id']}"
    assert api.client.get(location).get_json()["id"] == response.get_json()["id"]


def test_a_pending_job_shows_every_field_and_null_where_there_is_no_value_yet(api: Api) -> None:
    job_id = api.submit(**DOCUMENTED)
    assert api.get(f"/jobs/{job_id}") == {
        **DOCUMENTED,
        "id": job_id,
        "binary_sha256": DOCUMENTED["binary_sha256"].lower(),
        "status": "pending",
        "executor_id": None,
        "timeout_seconds": None,
        "stdout": "",
        "stderr": "",
        "exit_code": None,
        "error_message": None,
        "reason": None,
        "signal": None,
        "stdout_bytes": None,
        "stderr_bytes": None,
        "stdout_truncated": False,
        "stderr_truncated": False,
        "user_cpu_seconds": None,
        "system_cpu_seconds": None,
        "peak_memory_bytes": None,
        "download_started_at": None,
        "program_started_at": None,
        "program_ended_at": None,
        "cancel_requested": False,
        "created_at": START,
        "started_at": None,
        "completed_at": None,
        "created_at_ms": START_MS,
        "started_at_ms": None,
        "completed_at_ms": None,
        "attempts": [],
    }


def test_a_completed_job_shows_its_result_and_its_attempt(api: Api) -> None:
    job_id = api.submit(**DOCUMENTED)
    api.bench.clock.advance(60_000)
    api.claim("worker-1-abc123", executor_ip="192.168.1.100")
    api.bench.clock.advance(59_999)  # its timestamps are cut to the second
    api.report("complete", job_id, "worker-1-abc123", stdout="Job output...")
    job = api.get(f"/jobs/{job_id}")
    shown = ("status", "executor_id", "stdout", "stderr", "exit_code", "error_message", "started_at", "completed_at")
    assert [job[name] for name in shown] == [
        "completed", "worker-1-abc123", "Job output...", "", 0, None, "2023-11-14T22:14:20Z", "2023-11-14T22:15:19Z"
    ]  # fmt: skip
    assert job["attempts"] == [
        {
            "executor_id": "worker-1-abc123",
            "executor_ip": "192.168.1.100",
            "started_at": "2023-11-14T22:14:20Z",
            "ended_at": "2023-11-14T22:15:19Z",
            "status": "completed",
            "reason": "exited",
            "error_message": None,
        }
    ]


def test_a_failed_job_shows_why(api: Api) -> None:
    job_id = api.submit()
    api.claim()
    api.report("fail", job_id, stdout="Partial", stderr="Errors", exit_code=3, error_message="Binary execution failed")
    job = api.get(f"/jobs/{job_id}")
    shown = ("status", "stdout", "stderr", "exit_code", "error_message")
    assert [job[name] for name in shown] == ["failed", "Partial", "Errors", 3, "Binary execution failed"]
    assert [attempt["status"] for attempt in job["attempts"]] == ["failed"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("arguments", []),
        (
            "arguments",
            ["", " ", "two words", "--flag=a", "line\nbreak", '"quoted"', "Grüße 🎉", "\x1b[31m", "[]", "{}"],
        ),
        ("env_variables", {}),
        ("env_variables", {"EMPTY": "", "EQUALS": "a=b=c", "Ümläut": "ß", "with space": "\t", "message": "self"}),
        ("type", "a:b{c}/d?e=f&g#h%20Ü"),
        ("binary_url", "http://user:secret@[::1]:8443/a%20b?c=d#e"),
        ("priority", "foreground"),
        ("priority", "best_effort"),
        ("timeout_seconds", None),
        ("timeout_seconds", 1),
        ("timeout_seconds", 0.001),
        ("timeout_seconds", 315_360_000),
    ],
)
def test_a_job_is_shown_and_claimed_as_it_was_submitted(api: Api, field: str, value: Any) -> None:
    job_id = api.submit(**{field: value})
    assert api.get(f"/jobs/{job_id}")[field] == value
    assert api.claim()[field] == value


def test_a_job_without_arguments_and_environment_has_empty_ones(api: Api) -> None:
    job = api.get(f"/jobs/{api.submit()}")
    assert job["arguments"] == []
    assert job["env_variables"] == {}


def test_the_id_of_a_job_may_be_written_in_either_case(api: Api) -> None:
    job_id = api.submit()
    assert api.get(f"/jobs/{job_id.upper()}")["id"] == job_id


def test_an_unknown_job_is_not_found(api: Api) -> None:
    response = api.call("GET", f"/jobs/{UNKNOWN_ID}")
    assert response.status_code == 404
    assert response.get_json() == {
        "error": "Job not found",
        "context": {"code": "job_not_found", "job_id": UNKNOWN_ID},
    }


def test_a_pending_job_can_be_cancelled(api: Api) -> None:
    job_id = api.submit()
    api.bench.clock.advance(1000)
    response = api.call("DELETE", f"/jobs/{job_id}")
    assert response.status_code == 200
    assert response.get_json() == {"id": job_id, "status": "cancelled"}
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["completed_at"], job["attempts"]) == ("cancelled", "2023-11-14T22:13:21Z", [])
    assert (job["reason"], job["cancel_requested"]) == ("cancelled", False)


def test_a_time_limit_of_whole_seconds_is_shown_without_a_point(api: Api) -> None:
    job_id = api.submit(timeout_seconds=60.0)
    assert '"timeout_seconds":60,' in api.call("GET", f"/jobs/{job_id}").text


@pytest.mark.parametrize("policy", [Policy(timeout_seconds=1.5)])
def test_a_job_without_a_time_limit_gets_that_of_the_server(api: Api) -> None:
    jobs = [JOB, {**JOB, "timeout_seconds": None}, {**JOB, "timeout_seconds": 9}]
    submitted = api.call("POST", "/jobs/bulk", jobs).get_json()
    assert [api.get(f"/jobs/{job['id']}")["timeout_seconds"] for job in submitted] == [1.5, 1.5, 9]


def test_a_cancelled_job_is_never_claimed(api: Api) -> None:
    api.make_job("cancelled")
    assert api.call("POST", "/jobs/claim", {"executor_id": "worker-1"}).status_code == 204


@pytest.mark.parametrize("status", ["running", "completed", "failed", "cancelled"])
def test_only_a_pending_job_can_be_cancelled(api: Api, status: str) -> None:
    job_id = api.make_job(status)
    before = api.get(f"/jobs/{job_id}")
    response = api.call("DELETE", f"/jobs/{job_id}")
    assert response.status_code == 400
    assert response.get_json() == {
        "error": "Job is not in pending state",
        "context": {"code": "not_pending", "job_id": job_id, "status": status},
    }
    assert api.get(f"/jobs/{job_id}") == before


def test_an_unknown_job_cannot_be_cancelled(api: Api) -> None:
    response = api.call("DELETE", f"/jobs/{UNKNOWN_ID}")
    assert response.status_code == 404
    assert response.get_json()["context"] == {"code": "job_not_found", "job_id": UNKNOWN_ID}


@pytest.mark.parametrize("count", [1, 2, 150])
def test_the_jobs_of_a_bulk_are_answered_in_the_order_sent(api: Api, count: int) -> None:
    response = api.call("POST", "/jobs/bulk", [{**JOB, "type": f"job-{number}"} for number in range(count)])
    body = response.get_json()
    assert response.status_code == 201
    assert len({entry["id"] for entry in body}) == count
    assert all(entry == {"id": entry["id"], "status": "pending"} for entry in body)
    listed = api.get("/jobs?limit=1000")
    assert [entry["id"] for entry in reversed(listed)] == [entry["id"] for entry in body]
    assert [entry["type"] for entry in reversed(listed)] == [f"job-{number}" for number in range(count)]


def test_a_bulk_cancel_cancels_each_job_on_its_own(api: Api) -> None:
    running = api.make_job("running")
    pending = [api.submit(), api.submit()]
    job_ids = [pending[0], running, UNKNOWN_ID, pending[1], pending[0], "no id {at} all\n", ""]
    response = api.call("POST", "/jobs/bulk/cancel", {"job_ids": job_ids})
    assert response.status_code == 200
    assert response.get_json() == {
        "cancelled": 2,
        "failed": 5,
        "errors": [
            {"job_id": running, "error": "Job is not in pending state"},
            {"job_id": UNKNOWN_ID, "error": "Job not found"},
            {"job_id": pending[0], "error": "Job is not in pending state"},
            {"job_id": "no id {at} all\n", "error": "Job not found"},
            {"job_id": "", "error": "Job not found"},
        ],
    }
    assert {api.get(f"/jobs/{job_id}")["status"] for job_id in pending} == {"cancelled"}
    assert api.get(f"/jobs/{running}")["status"] == "running"


def test_a_bulk_cancel_of_pending_jobs_has_no_errors(api: Api) -> None:
    job_ids = api.bench.submit(1000)
    response = api.call("POST", "/jobs/bulk/cancel", {"job_ids": job_ids})
    assert response.get_json() == {"cancelled": 1000, "failed": 0, "errors": []}


def test_every_timestamp_is_in_utc_to_the_second(api: Api) -> None:
    api.make_job("running")
    times = re.findall(r'_at":"([^"]+)"', api.call("GET", "/jobs").text)
    assert len(times) == 2
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)


def test_the_times_of_a_job_have_milliseconds_as_well(api: Api) -> None:
    job_id = api.submit()
    api.bench.clock.advance(1_001)
    api.claim()
    api.bench.clock.advance(1_001)
    api.report("complete", job_id)
    job = api.get(f"/jobs/{job_id}")
    times = [job[f"{name}_at_ms"] for name in ("created", "started", "completed")]
    assert times == [START_MS, START_MS + 1_001, START_MS + 2_002]
