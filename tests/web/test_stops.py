"""Running jobs that are cancelled or released."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import UNKNOWN_ID, Api


@pytest.fixture
def running(api: Api) -> dict[str, Any]:
    """A running job, as the claim answered it."""
    api.submit()
    return api.claim()


def force(api: Api, job_id: str) -> None:
    """Cancel a running job with force."""
    response = api.call("DELETE", f"/jobs/{job_id}?force=true")
    assert response.status_code == 202
    assert response.get_json() == {"id": job_id, "status": "running", "cancel_requested": True}


def test_a_forced_cancel_marks_a_running_job_and_its_heartbeats_say_so(api: Api, running: dict[str, Any]) -> None:
    before = api.get(f"/jobs/{running['id']}")
    for _ in range(2):
        force(api, running["id"])
    assert api.get(f"/jobs/{running['id']}") == before | {"cancel_requested": True}
    assert api.report("heartbeat", running["id"]).get_json()["cancel_requested"] is True


@pytest.mark.parametrize("query", ["", "?force=false"])
def test_without_force_a_running_job_is_refused(api: Api, running: dict[str, Any], query: str) -> None:
    response = api.call("DELETE", f"/jobs/{running['id']}{query}")
    assert response.status_code == 400
    assert response.get_json()["context"] == {"code": "not_pending", "job_id": running["id"], "status": "running"}
    assert api.get(f"/jobs/{running['id']}")["cancel_requested"] is False


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_pending_job_is_cancelled_with_and_without_force(api: Api, value: str) -> None:
    job_id = api.submit()
    response = api.call("DELETE", f"/jobs/{job_id}?force={value}")
    assert (response.status_code, response.get_json()) == (200, {"id": job_id, "status": "cancelled"})


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_forced_cancel_of_an_ended_job_is_refused(api: Api, status: str) -> None:
    job_id = api.make_job(status)
    response = api.call("DELETE", f"/jobs/{job_id}?force=true")
    assert response.status_code == 400
    assert response.get_json()["context"] == {"code": "not_pending", "job_id": job_id, "status": status}
    assert api.call("DELETE", f"/jobs/{UNKNOWN_ID}?force=true").status_code == 404


def test_a_bulk_cancel_never_forces(api: Api, running: dict[str, Any]) -> None:
    body = api.call("POST", "/jobs/bulk/cancel", {"job_ids": [running["id"]]}).get_json()
    assert (body["cancelled"], body["failed"]) == (0, 1)
    assert api.call("POST", "/jobs/bulk/cancel?force=true", {"job_ids": [running["id"]]}).status_code == 200
    assert api.get(f"/jobs/{running['id']}")["cancel_requested"] is False


@pytest.mark.parametrize(
    ("verb", "reason", "end"),
    [
        ("fail", None, ("cancelled", "cancelled")),
        ("fail", "cancelled", ("cancelled", "cancelled")),
        ("fail", "exited", ("failed", "exited")),
        ("complete", None, ("completed", "exited")),
        ("complete", "cancelled", ("completed", "cancelled")),
    ],
)
def test_the_end_of_a_job_with_a_cancel_request_depends_on_its_report(
    api: Api, running: dict[str, Any], verb: str, reason: str | None, end: tuple[str, str]
) -> None:
    status, why = end
    force(api, running["id"])
    for repeat in (None, "true"):
        response = api.report(verb, running["id"], attempt_token=running["attempt_token"], reason=reason)
        assert (response.status_code, response.get_json()) == (200, {"id": running["id"], "status": status})
        assert response.headers.get("Idempotent-Replay") == repeat
    job = api.get(f"/jobs/{running['id']}")
    assert (job["status"], job["reason"], job["cancel_requested"]) == (status, why, True)
    assert [(attempt["status"], attempt["reason"]) for attempt in job["attempts"]] == [(status, why)]


def test_a_job_with_a_cancel_request_is_cancelled_when_its_executor_is_lost(api: Api, running: dict[str, Any]) -> None:
    force(api, running["id"])
    api.bench.pass_time(61_000)
    job = api.get(f"/jobs/{running['id']}")
    assert (job["status"], job["reason"]) == ("cancelled", "cancelled")
    assert [(attempt["status"], attempt["reason"]) for attempt in job["attempts"]] == [("lost", "lease_lost")]


@pytest.mark.parametrize("more", [{}, {"reason": None}, {"reason": "worker_shutdown"}])
def test_a_released_job_is_pending_again(api: Api, running: dict[str, Any], more: dict[str, str]) -> None:
    response = api.report("release", running["id"], attempt_token=running["attempt_token"], **more)
    assert (response.status_code, response.get_json()) == (200, {"id": running["id"], "status": "pending"})
    [attempt] = api.get(f"/jobs/{running['id']}")["attempts"]
    assert (attempt["status"], attempt["reason"]) == ("released", more.get("reason"))
    again = api.claim("worker-2")
    assert (again["id"], again["attempt"]) == (running["id"], 2)


def test_a_release_cancels_a_job_with_a_cancel_request(api: Api, running: dict[str, Any]) -> None:
    force(api, running["id"])
    response = api.report("release", running["id"])
    assert (response.status_code, response.get_json()) == (200, {"id": running["id"], "status": "cancelled"})
    assert api.get(f"/jobs/{running['id']}")["reason"] == "cancelled"


def test_a_release_is_refused_like_a_complete(api: Api, running: dict[str, Any]) -> None:
    pending = api.submit()
    for job_id, executor_id in ((pending, "worker-1"), (running["id"], "worker-2"), (UNKNOWN_ID, "worker-1")):
        one, other = (api.report(verb, job_id, executor_id) for verb in ("release", "complete"))
        assert (one.status_code, one.get_json()) == (other.status_code, other.get_json())
        assert one.status_code in {400, 404}
