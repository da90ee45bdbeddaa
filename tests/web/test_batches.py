"""Requests about many jobs of one executor: claims of several, a heartbeat for all, many reports at once."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobqueue.web.requests import callers
from tests.support.web import HOLDER, UNKNOWN_ID, Api, name_of

ATTEMPT: dict[str, Any] = {"id": UNKNOWN_ID, "attempt_token": "a token"}
LOST = "Invalid state transition: the job is held by another attempt"
RESULT: dict[str, Any] = ATTEMPT | {"outcome": "complete", "exit_code": 0}


def claim(api: Api, **fields: Any) -> TestResponse:
    """Send a claim of worker-1."""
    return api.call("POST", "/jobs/claim", HOLDER | fields)


def claimed(api: Api, **fields: Any) -> list[dict[str, Any]]:
    """Claim jobs for worker-1; return them."""
    response = claim(api, **fields)
    assert response.status_code == 200, response.text
    jobs: list[dict[str, Any]] = response.get_json()["jobs"]
    return jobs


def attempt(job: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that name an attempt."""
    return {"id": job["id"], "attempt_token": job["attempt_token"]}


def finish(api: Api, *results: dict[str, Any], **more: Any) -> TestResponse:
    """Send reports of worker-1."""
    return api.call("POST", "/jobs/bulk/finish", {**HOLDER, "results": list(results), **more})


def test_a_claim_of_many_answers_each_job_as_a_claim_of_one_does(api: Api) -> None:
    first, second = api.bench.submit(2)
    jobs = claimed(api, max_jobs=100, executor_ip="192.168.1.100")
    assert [job["id"] for job in jobs] == [first, second]
    for job in jobs:
        token = {"attempt_token": job["attempt_token"], "attempt": 1, "lease_ms": 60_000}
        assert job == {**api.get(f"/jobs/{job['id']}"), **token}
        assert job["attempts"][0]["executor_ip"] == "192.168.1.100"


def test_a_claim_of_up_to_one_job_is_a_list_and_one_without_a_number_is_not(api: Api) -> None:
    first, second = api.bench.submit(2)
    assert [job["id"] for job in claimed(api, max_jobs=1)] == [first]
    assert claim(api).get_json()["id"] == second
    assert claim(api, max_jobs=3).status_code == 204
    assert claim(api, max_jobs=None).status_code == 204


def test_a_claim_of_some_types_leaves_the_others(api: Api) -> None:
    ids = {type: api.submit(type=type) for type in ("a", "b", "c")}
    assert [job["id"] for job in claimed(api, max_jobs=5, types=["c", "a", "c"])] == [ids["a"], ids["c"]]


def test_a_repeated_claim_is_answered_as_the_first_with_a_header(api: Api) -> None:
    api.bench.submit(3)
    first, second = (claim(api, max_jobs=2, claim_id="a-name") for _ in range(2))
    assert first.get_json() == second.get_json()
    assert [response.headers.get("Idempotent-Replay") for response in (first, second)] == [None, "true"]
    finish(api, *({**attempt(job), "outcome": "complete", "exit_code": 0} for job in first.get_json()["jobs"]))
    third = claim(api, max_jobs=2, claim_id="a-name")
    assert (third.status_code, third.headers.get("Idempotent-Replay")) == (204, "true")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("max_jobs", [0, 101, -1, 1.5, "1", True, []]),
        ("claim_id", ["", "a b", "a\n", "x" * 129, 1, []]),
        ("types", [[], ["a"] * 101, ["a b"], [""], "a", {"a": 1}, [1]]),
        ("labels", [["gpu"]]),
    ],
)
def test_a_claim_with_a_bad_value_is_refused_by_field(api: Api, field: str, values: list[Any]) -> None:
    for value in values:
        assert list(api.refused("POST", "/jobs/claim", {**HOLDER, field: value})) == [field]
        refused = api.refused("POST", "/jobs/bulk/finish", {**HOLDER, "results": [RESULT], "claim": {field: value}})
        assert list(refused["claim"]) == [field]


def test_one_heartbeat_answers_every_job_of_an_executor(api: Api) -> None:
    api.bench.submit(3)
    held, stopped, ended = claimed(api, max_jobs=3)
    api.call("DELETE", f"/jobs/{stopped['id']}?force=true")
    finish(api, {**attempt(ended), "outcome": "fail"})
    output = {"stdout": {"offset": 0, "data": "out"}}
    jobs = [{**attempt(held), "output": output}, attempt(stopped), attempt(ended), ATTEMPT | {"id": "no id at all"}]
    jobs.append({**attempt(held), "id": held["id"].upper()})
    response = api.call("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": jobs})
    assert response.status_code == 200
    assert response.get_json() == {
        "lease_ms": 60_000,
        "drain": False,
        "jobs": [
            {"id": held["id"], "held": True, "cancel_requested": False},
            {"id": stopped["id"], "held": True, "cancel_requested": True},
            {"id": ended["id"], "held": False, "code": "not_held"},
            {"id": "no id at all", "held": False, "code": "job_not_found"},
            {"id": held["id"], "held": True, "cancel_requested": False},
        ],
    }
    assert api.get(f"/jobs/{held['id']}/output")["data"] == "out"


def test_a_heartbeat_names_a_thousand_jobs_at_most(api: Api) -> None:
    assert list(api.refused("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": [ATTEMPT] * 1_001})) == ["jobs"]
    response = api.call("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": [ATTEMPT] * 1_000})
    assert [job["held"] for job in response.get_json()["jobs"]] == [False] * 1_000


@pytest.mark.parametrize(
    "beat",
    [{}, 1, {"id": UNKNOWN_ID}, {"attempt_token": "x"}, ATTEMPT | {"id": 1}, ATTEMPT | {"output": 1},
     ATTEMPT | {"progress": 1}, ATTEMPT | {"attempt_token": ""}, ATTEMPT | {"output": {"stdout": {"offset": -1}}}],
    ids=name_of,
)  # fmt: skip
def test_a_heartbeat_with_a_bad_job_is_refused_by_its_index(api: Api, beat: Any) -> None:
    assert list(api.refused("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": [beat]})["jobs"]) == ["0"]


def test_reports_are_answered_in_their_order_each_for_itself(api: Api) -> None:
    api.bench.submit(4)
    completed, failed, released, lost = claimed(api, max_jobs=4)
    reports = [
        {**attempt(completed), "outcome": "complete", "exit_code": 0, "stdout": "out"},
        {**attempt(lost), "outcome": "complete", "exit_code": 0, "attempt_token": "another"},
        {**attempt(failed), "outcome": "fail", "error_message": "why"},
        {**attempt(released), "outcome": "release", "reason": "worker_shutdown"},
        ATTEMPT | {"outcome": "release"},
    ]
    response = finish(api, *reports)
    assert response.status_code == 200
    assert response.get_json() == {
        "results": [
            {"id": completed["id"], "status": "completed", "replayed": False},
            {"id": lost["id"], "error": LOST, "code": "lease_lost"},
            {"id": failed["id"], "status": "failed", "replayed": False},
            {"id": released["id"], "status": "pending", "replayed": False},
            {"id": UNKNOWN_ID, "error": "Job not found", "code": "job_not_found"},
        ]
    }
    assert api.get(f"/jobs/{completed['id']}")["stdout"] == "out"
    assert [each["replayed"] for each in finish(api, reports[0], reports[2]).get_json()["results"]] == [True, True]


def test_the_claim_among_reports_is_answered_with_jobs(api: Api) -> None:
    api.bench.submit(3)
    [job] = claimed(api, max_jobs=1)
    report = {**attempt(job), "outcome": "complete", "exit_code": 0}
    wanted = {"max_jobs": 5, "claim_id": "a-name"}
    first, second = (finish(api, report, claim=wanted) for _ in range(2))
    assert [len(response.get_json()["jobs"]) for response in (first, second)] == [2, 2]
    assert first.get_json()["jobs"] == second.get_json()["jobs"]
    assert [response.headers.get("Idempotent-Replay") for response in (first, second)] == [None, "true"]
    assert finish(api, report, claim={}).get_json()["jobs"] == []
    assert "jobs" not in finish(api, report).get_json()


def test_reports_of_a_client_that_has_gone_are_stored_but_claim_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "is_waiting", lambda *_: False)
    first, second = api.submit(), api.submit()
    taken = api.bench.claims.claim("worker-1", None)
    assert taken is not None
    report = {"id": first, "attempt_token": taken.attempt_token, "outcome": "complete", "exit_code": 0}
    assert finish(api, report, claim={"max_jobs": 5}).get_json()["jobs"] == []
    assert [api.get(f"/jobs/{job_id}")["status"] for job_id in (first, second)] == ["completed", "pending"]


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (ATTEMPT, "outcome"),
        (ATTEMPT | {"outcome": "done"}, "outcome"),
        (ATTEMPT | {"outcome": ["complete"]}, "outcome"),
        ("text", "outcome"),
        (ATTEMPT | {"outcome": "complete"}, "exit_code"),
        (RESULT | {"exit_code": 0.5}, "exit_code"),
        (RESULT | {"executor_id": "worker-1"}, "executor_id"),
        (RESULT | {"error_message": "only in a failure"}, "error_message"),
        (RESULT | {"attempt_token": ""}, "attempt_token"),
        (RESULT | {"id": "x" * 129}, "id"),
        (ATTEMPT | {"outcome": "release", "stdout": ""}, "stdout"),
        (ATTEMPT | {"outcome": "release", "reason": "exited"}, "reason"),
        ({"id": UNKNOWN_ID, "outcome": "release"}, "attempt_token"),
    ],
    ids=name_of,
)
def test_a_malformed_result_refuses_the_whole_request_by_its_index(api: Api, result: Any, field: str) -> None:
    job_id = api.submit()
    token = api.claim()["attempt_token"]
    good = {"id": job_id, "attempt_token": token, "outcome": "complete", "exit_code": 0}
    response = finish(api, good, result)
    assert response.status_code == 400
    context = response.get_json()["context"]
    assert list(context["results"]) == ["1"]
    assert list(context["results"]["1"]) == [field]
    assert api.get(f"/jobs/{job_id}")["status"] == "running"


def test_there_are_one_to_a_hundred_results(api: Api) -> None:
    assert len(finish(api, *[RESULT] * 100).get_json()["results"]) == 100
    for count in (0, 101):
        assert list(finish(api, *[RESULT] * count).get_json()["context"]) == ["results"]


def test_a_job_whose_claim_was_answered_to_nobody_comes_back_with_a_heartbeat(api: Api) -> None:
    job_id = api.submit()
    claim(api, max_jobs=1)
    api.bench.clock.advance(10_001)
    api.call("POST", "/jobs/bulk/heartbeat", HOLDER | {"jobs": []})
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["attempts"][0]["status"]) == ("pending", "released")
    assert "jobqueue_attempts_never_received_total 1.0" in api.call("GET", "/metrics").text
