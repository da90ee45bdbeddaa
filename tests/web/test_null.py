"""null for an optional field is the same as leaving it out, in every body."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import HOLDER, JOB, RESULT, UNKNOWN_ID, UNUSUAL_JOB, Api

OPTIONAL_OF_A_JOB = ("arguments", "env_variables", "timeout_seconds")
MEASURED = (
    "reason", "signal", "stdout_bytes", "stderr_bytes", "stdout_truncated", "stderr_truncated", "user_cpu_seconds",
    "system_cpu_seconds", "peak_memory_bytes", "download_started_at_ms", "program_started_at_ms",
    "program_ended_at_ms",
)  # fmt: skip


@pytest.mark.parametrize("job", [JOB, UNUSUAL_JOB], ids=["usual", "unusual"])
def test_null_in_an_optional_field_is_the_same_as_leaving_it_out(api: Api, job: dict[str, Any]) -> None:
    nulls = {**job, **dict.fromkeys(OPTIONAL_OF_A_JOB)}
    plain, null = (api.get(f"/jobs/{api.submit(**fields)}") for fields in (job, nulls))
    assert {**plain, "id": ""} == {**null, "id": ""}
    response = api.call("POST", "/jobs/bulk", [nulls, job])
    assert response.status_code == 201
    (first, second) = (api.get(f"/jobs/{entry['id']}") for entry in response.get_json())
    assert {**first, "id": ""} == {**second, "id": ""}


def test_null_in_a_claim_and_in_reports_is_the_same_as_leaving_it_out(api: Api) -> None:
    job_id = api.submit()
    claim = api.call("POST", "/jobs/claim", {**HOLDER, "executor_ip": None})
    assert claim.status_code == 200
    assert claim.get_json()["attempts"][0]["executor_ip"] == "127.0.0.1"
    piece = {"offset": 0, "data": "x"}
    for output in (None, {"stdout": None, "stderr": None}, {"stdout": piece, "stderr": None}):
        assert api.report("heartbeat", job_id, attempt_token=None, output=output).status_code == 200
    assert api.report("release", job_id, attempt_token=None, reason=None).status_code == 200
    for verb in ("complete", "fail"):
        job_id = api.submit() if verb == "fail" else job_id
        api.claim()
        nulls: Any = dict.fromkeys(("attempt_token", "stdout", "stderr", *MEASURED))
        more: Any = {"exit_code": None, "error_message": None} if verb == "fail" else {}
        assert api.report(verb, job_id, **nulls, **more).status_code == 200
        job = api.get(f"/jobs/{job_id}")
        assert (job["stdout"], job["stderr"], job["error_message"]) == ("", "", None)
        assert job["stdout_bytes"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        *(("POST", "/jobs", JOB, field) for field in JOB),
        ("POST", "/jobs/bulk/cancel", {"job_ids": [UNKNOWN_ID]}, "job_ids"),
        ("POST", "/jobs/claim", HOLDER, "executor_id"),
        ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", HOLDER, "executor_id"),
        ("PUT", f"/jobs/{UNKNOWN_ID}/complete", RESULT, "exit_code"),
        ("PUT", f"/jobs/{UNKNOWN_ID}/fail", RESULT, "executor_id"),
        ("POST", f"/jobs/{UNKNOWN_ID}/release", HOLDER, "executor_id"),
    ],
)
def test_null_in_a_required_field_is_refused_by_name(
    api: Api, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    assert list(api.refused(method, path, {**body, field: None})) == [field]


@pytest.mark.parametrize(
    ("field", "value"), [("arguments", [None]), ("env_variables", {"A": None}), ("unknown", None), (None, None)]
)
def test_null_where_there_is_no_optional_field_is_refused(api: Api, field: str | None, value: Any) -> None:
    body = {**JOB, field: value} if field else [None]
    assert api.refused("POST", "/jobs" if field else "/jobs/bulk", body).keys() == {field or "0"}


def test_the_document_allows_null_in_exactly_the_optional_fields_of_bodies(api: Api) -> None:
    schemas = api.get("/openapi.json")["components"]["schemas"]
    bodies = {name: schema for name, schema in schemas.items() if name.endswith("In")}
    assert len(bodies) >= 8
    for name, schema in bodies.items():
        for field, rules in schema["properties"].items():
            is_nullable = "null" in str(rules.get("type", rules.get("anyOf", rules.get("enum"))))
            is_nullable = is_nullable or None in rules.get("enum", [])
            assert is_nullable == (field not in schema.get("required", [])), (name, field, rules)
