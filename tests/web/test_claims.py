"""Claims, heartbeats and reports: what the holder of a job may do, and how everybody else is refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from werkzeug.test import TestResponse

from jobqueue.queue.policy import Policy
from tests.support.web import START, UNKNOWN_ID, Api

VERBS = ("heartbeat", "complete", "fail")


def answer(response: TestResponse) -> tuple[int, str, str, str]:
    """Return a refusal's HTTP status, its message up to a colon, its code, and the status of the job."""
    body = response.get_json()
    message = body["error"].partition(":")[0]
    return response.status_code, message, body["context"]["code"], body["context"]["status"]


def test_a_claim_without_pending_jobs_answers_no_content(api: Api) -> None:
    response = api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    assert response.status_code == 204
    assert response.data == b""


def test_a_claim_answers_the_job_with_its_token_attempt_and_lease(api: Api) -> None:
    job_id = api.submit()
    claimed = api.claim("worker-1-abc123", executor_ip="192.168.1.100")
    assert claimed == {
        **api.get(f"/jobs/{job_id}"),
        "attempt_token": claimed["attempt_token"],
        "attempt": 1,
        "lease_ms": 60_000,
    }
    assert (claimed["status"], claimed["executor_id"], claimed["started_at"]) == ("running", "worker-1-abc123", START)
    assert claimed["attempts"] == [
        {
            "executor_id": "worker-1-abc123",
            "executor_ip": "192.168.1.100",
            "started_at": START,
            "ended_at": None,
            "status": "running",
            "reason": None,
            "error_message": None,
        }
    ]


def test_every_attempt_has_a_token_of_its_own(api: Api) -> None:
    api.bench.submit(20)
    tokens = {api.claim()["attempt_token"] for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 32 for token in tokens)


def test_jobs_are_claimed_by_priority_and_then_first_in_first_out(api: Api) -> None:
    priorities = ["best_effort", "background", "foreground"] * 3
    submitted = [(priority, api.submit(priority=priority)) for priority in priorities]
    claimed = [api.claim()["id"] for _ in submitted]
    order = ("foreground", "background", "best_effort")
    assert claimed == [job_id for wanted in order for priority, job_id in submitted if priority == wanted]


@pytest.mark.parametrize(
    ("given", "caller", "shown"),
    [
        (None, "10.1.2.3", "10.1.2.3"),
        (None, "2001:db8::1", "2001:db8::1"),
        ("192.168.1.100", "10.1.2.3", "192.168.1.100"),
        ("2001:0DB8:0000::0001", "10.1.2.3", "2001:db8::1"),
        ("::FFFF:10.0.0.1", "10.1.2.3", str(ip_address("::ffff:10.0.0.1"))),  # Python 3.13 writes it with dots
    ],
)
def test_the_address_of_an_executor_is_the_callers_unless_it_sends_one(
    api: Api, given: str | None, caller: str, shown: str
) -> None:
    api.submit()
    body = {"executor_id": "worker-1"} | ({"executor_ip": given} if given else {})
    claimed = api.call("POST", "/jobs/claim", body, environ_base={"REMOTE_ADDR": caller}).get_json()
    assert claimed["attempts"][0]["executor_ip"] == shown


def test_an_executor_may_hold_several_jobs(api: Api) -> None:
    submitted = api.bench.submit(3)
    assert [api.claim("worker-1")["id"] for _ in submitted] == submitted


@pytest.mark.parametrize("with_token", [False, True])
def test_a_heartbeat_renews_the_lease(api: Api, with_token: bool) -> None:
    job_id = api.submit()
    claimed = api.claim()
    more = {"attempt_token": claimed["attempt_token"]} if with_token else {}
    for _ in range(3):
        api.bench.pass_time(59_000)
        response = api.report("heartbeat", job_id, **more)
        assert response.status_code == 200
        assert response.get_json() == {
            "id": job_id,
            "status": "running",
            "lease_ms": 60_000,
            "cancel_requested": False,
        }
    api.bench.pass_time(61_000)
    assert api.get(f"/jobs/{job_id}")["status"] == "pending"


@pytest.mark.parametrize("with_token", [False, True])
@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_the_holder_ends_its_job_with_or_without_its_token(api: Api, verb: str, with_token: bool) -> None:
    job_id = api.submit()
    token = api.claim()["attempt_token"]
    response = api.report(verb, job_id, **({"attempt_token": token} if with_token else {}))
    assert response.status_code == 200
    assert response.get_json() == {"id": job_id, "status": {"complete": "completed", "fail": "failed"}[verb]}
    assert "Idempotent-Replay" not in response.headers


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("impostor", ["another executor", "another token", "another executor with the token"])
def test_a_report_from_anybody_but_the_holder_is_refused(api: Api, impostor: str, verb: str) -> None:
    job_id = api.submit()
    token = api.claim("worker-1")["attempt_token"]
    before = api.get(f"/jobs/{job_id}")
    executor_id = "worker-1" if impostor == "another token" else "worker-2"
    tokens = {"another executor": {}, "another token": {"attempt_token": "0" * 32}}
    response = api.report(verb, job_id, executor_id, **tokens.get(impostor, {"attempt_token": token}))
    if verb == "heartbeat":
        assert answer(response) == (404, "Job not found or not running", "not_held", "running")
    else:
        assert answer(response) == (400, "Invalid state transition", "lease_lost", "running")
    assert api.get(f"/jobs/{job_id}") == before


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_report_for_a_job_that_is_not_running_is_refused(api: Api, status: str, verb: str) -> None:
    job_id = api.make_job(status)
    before = api.get(f"/jobs/{job_id}")
    if verb == "heartbeat":
        assert answer(api.report(verb, job_id)) == (404, "Job not found or not running", "not_held", status)
    else:
        response = api.report(verb, job_id, stdout="other")
        assert answer(response) == (400, "Invalid state transition", "not_running", status)
    assert api.get(f"/jobs/{job_id}") == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_report_for_an_unknown_job_is_not_found(api: Api, verb: str) -> None:
    response = api.report(verb, UNKNOWN_ID)
    assert response.status_code == 404
    assert response.get_json()["context"] == {"code": "job_not_found", "job_id": UNKNOWN_ID}


@pytest.mark.parametrize(("verb", "status"), [("heartbeat", 404), ("complete", 400), ("fail", 400)])
def test_the_token_of_an_earlier_attempt_of_the_same_executor_is_refused(api: Api, verb: str, status: int) -> None:
    job_id = api.submit()
    old = api.claim("worker-1")["attempt_token"]
    api.bench.pass_time(61_000)
    new = api.claim("worker-1")["attempt_token"]
    assert api.report(verb, job_id, attempt_token=old).status_code == status
    assert api.report("complete", job_id, attempt_token=new).status_code == 200


@pytest.mark.parametrize("verb", VERBS)
def test_an_expired_lease_that_was_not_swept_yet_still_holds_the_job(api: Api, verb: str) -> None:
    job_id = api.submit()
    api.claim()
    api.bench.clock.advance(3_600_000)
    assert api.report(verb, job_id).status_code == 200


def test_the_job_of_a_silent_executor_goes_back_to_its_old_place(api: Api) -> None:
    first, second = api.bench.submit(2)
    api.claim("worker-1", executor_ip="10.0.0.1")
    api.bench.pass_time(61_000)
    job = api.get(f"/jobs/{first}")
    assert [job[name] for name in ("status", "executor_id", "started_at", "completed_at")] == ["pending", *[None] * 3]
    [lost] = job["attempts"]
    assert [lost[name] for name in ("executor_id", "status", "reason")] == ["worker-1", "lost", "lease_lost"]
    assert [api.claim("worker-2")["id"] for _ in range(2)] == [first, second]
    attempts = api.get(f"/jobs/{first}")["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["lost", "running"]


@pytest.mark.parametrize("policy", [Policy(max_attempts=1), Policy(max_attempts=3, lease_ms=1000)])
def test_a_job_fails_after_max_attempts_lost_executors(api: Api, policy: Policy) -> None:
    job_id = api.submit()
    for number in range(policy.max_attempts):
        api.claim(f"worker-{number}")
        api.bench.pass_time(policy.lease_ms + 1000)
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["exit_code"], job["reason"]) == ("failed", None, "lease_lost")
    assert f"lost {policy.max_attempts} of at most {policy.max_attempts}" in job["error_message"]
    assert [attempt["status"] for attempt in job["attempts"]] == ["lost"] * policy.max_attempts
    assert api.call("POST", "/jobs/claim", {"executor_id": "worker-9"}).status_code == 204


def test_only_the_claim_shows_the_token(api: Api) -> None:
    job_id = api.submit()
    token = api.claim()["attempt_token"]
    paths = (f"/jobs/{job_id}", "/jobs", "/admin/executors", "/admin/stats", "/metrics", "/health")
    answers = [api.call("GET", path).text for path in paths]
    verbs = ("heartbeat", "release", "heartbeat", "complete", "complete")
    api.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    answers += [api.report(verb, job_id, attempt_token=token).text for verb in verbs]
    answers += [api.report("fail", job_id, attempt_token=token).text, api.call("DELETE", f"/jobs/{job_id}").text]
    answers += [api.call("GET", path).text for path in paths]
    assert not [answer for answer in answers if token in answer or "attempt_token" in answer]
