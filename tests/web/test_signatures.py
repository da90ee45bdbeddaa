"""A signature comes with a job, is stored with it, and goes to its executor alone. The server checks only its form."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jobqueue.queue.policy import Policy
from jobqueue.signing import envelope
from tests.support.web import JOB, Api

SIGNATURE = envelope.write(b'{"secret": "canary"}', {"key-1": b"s" * 64})


def test_the_executor_gets_the_signature_and_nobody_else(api: Api) -> None:
    job_id = api.submit(signature=SIGNATURE, env_variables={"A": "b"})
    assert "signature" not in api.get(f"/jobs/{job_id}")
    assert SIGNATURE["payload"] not in api.call("GET", "/jobs").text
    claimed = api.claim()
    assert claimed["signature"] == SIGNATURE
    end = {"executor_id": "worker-1", "attempt_token": claimed["attempt_token"], "exit_code": 0}
    assert api.call("PUT", f"/jobs/{job_id}/complete", end).status_code == 200
    ended = api.get(f"/jobs/{job_id}")
    assert (ended["status"], ended["env_variables"], "signature" in ended) == ("completed", {"A": "b"}, False)


def test_the_jobs_of_a_bulk_may_be_signed(api: Api) -> None:
    bulk = [{**JOB, "signature": SIGNATURE}, JOB]
    assert api.call("POST", "/jobs/bulk", bulk).status_code == 201
    claimed = api.call("POST", "/jobs/claim", {"executor_id": "worker-1", "max_jobs": 2}).get_json()["jobs"]
    assert [job.get("signature") for job in claimed] == [SIGNATURE, None]


def test_a_job_that_is_not_signed_is_claimed_as_ever(api: Api) -> None:
    api.submit(signature=None)
    assert "signature" not in api.claim()


@pytest.mark.parametrize("policy", [Policy(timeout_seconds=9.5)])
def test_the_default_time_limit_is_not_put_into_a_signed_job(api: Api) -> None:
    assert api.get(f"/jobs/{api.submit(signature=SIGNATURE)}")["timeout_seconds"] is None
    assert api.get(f"/jobs/{api.submit()}")["timeout_seconds"] == 9.5


def test_a_signature_without_a_key_id_is_taken(api: Api) -> None:
    bare = {**SIGNATURE, "signatures": [{"sig": "c2ln"}]}
    api.submit(signature=bare)
    assert api.claim()["signature"] == bare


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": None},
        {"payload": ""},
        {"payload": "YQ"},
        {"payload": "?"},
        {"payload": 5},
        {"payload": "A" * (envelope.MAX_PAYLOAD_CHARACTERS + 4)},
        {"payloadType": "application/json"},
        {"payloadType": None},
        {"signatures": []},
        {"signatures": {}},
        {"signatures": [{"sig": "c2ln"}] * 9},
        {"signatures": [{"keyid": "key"}]},
        {"signatures": [{"sig": "?"}]},
        {"signatures": [{"sig": "A" * 92}]},
        {"signatures": [{"sig": "c2ln", "keyid": "white space"}]},
        {"signatures": [{"sig": "c2ln", "more": 1}]},
        {"more": 1},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_a_signature_in_another_form_is_refused_and_nothing_stored(api: Api, changed: dict[str, Any]) -> None:
    response = api.call("POST", "/jobs", {**JOB, "signature": {**SIGNATURE, **changed}})
    assert response.status_code == 400
    assert [*response.get_json()["context"]["signature"]] == [*changed]
    assert api.get("/jobs") == []


@pytest.mark.parametrize("signature", ["text", 5, [], True])
def test_a_signature_that_is_no_object_is_refused(api: Api, signature: object) -> None:
    response = api.call("POST", "/jobs", {**JOB, "signature": signature})
    assert (response.status_code, [*response.get_json()["context"]]) == (400, ["signature"])


def test_the_largest_signature_fits_into_a_request(api: Api) -> None:
    payload = base64.b64encode(b"x" * (envelope.MAX_PAYLOAD_CHARACTERS // 4 * 3)).decode()
    api.submit(signature={**SIGNATURE, "payload": payload})
    assert api.claim()["signature"]["payload"] == payload
